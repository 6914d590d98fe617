//! Answers of the three APIs as they come, and requests as they go.

use serde_json::json;

use super::*;
use crate::history::{Block, Call, Outcome};

type Read = (Vec<Delta>, Vec<Piece>, Option<(Stop, Usage)>);

/// Feeds events; what was shown, the pieces, and how it ended.
fn read(api: Api, events: &[Value]) -> Result<Read, Fault> {
    let mut decoder = decoder(api);
    let mut shown = Vec::new();
    for event in events {
        let data = event.as_str().map_or_else(|| event.to_string(), str::to_owned);
        shown.extend(decoder.event(&data)?);
    }
    let end = decoder.finish();
    Ok((shown, decoder.draft().complete(), end))
}

fn call(id: &str, name: &str, input: Value) -> Piece {
    Piece::Call(Call { id: id.into(), name: name.into(), input, broken: None })
}

#[test]
fn anthropic() {
    let events = [
        json!({"type": "message_start", "message": {"usage": {"input_tokens": 10, "output_tokens": 1,
            "cache_read_input_tokens": 5, "cache_creation_input_tokens": 2}}}),
        json!({"type": "ping"}),
        json!({"type": "content_block_start", "index": 0, "content_block": {"type": "thinking", "thinking": ""}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "thinking_delta", "thinking": "hm"}}),
        json!({"type": "content_block_delta", "index": 0, "delta": {"type": "signature_delta", "signature": "sig"}}),
        json!({"type": "content_block_start", "index": 1, "content_block": {"type": "text", "text": ""}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "a"}}),
        json!({"type": "content_block_delta", "index": 1, "delta": {"type": "text_delta", "text": "b"}}),
        json!({"type": "content_block_stop", "index": 1}),
        json!({"type": "content_block_start", "index": 2,
            "content_block": {"type": "tool_use", "id": "t1", "name": "bash", "input": {}}}),
        json!({"type": "content_block_delta", "index": 2,
            "delta": {"type": "input_json_delta", "partial_json": "{\"command\":"}}),
        json!({"type": "content_block_delta", "index": 2,
            "delta": {"type": "input_json_delta", "partial_json": "\"ls\"}"}}),
        json!({"type": "content_block_start", "index": 3,
            "content_block": {"type": "tool_use", "id": "t2", "name": "read", "input": {"path": "x"}}}),
        json!({"type": "what_is_this"}),
        json!({"type": "message_delta", "delta": {"stop_reason": "tool_use"}, "usage": {"output_tokens": 20}}),
        json!({"type": "message_stop"}),
    ];
    let (shown, pieces, end) = read(Api::Anthropic, &events).unwrap();
    let text = |text: &str| Delta::Text(text.to_owned());
    assert_eq!(shown, [Delta::Thought("hm".into()), text("a"), text("b")]);
    let raw = json!({"type": "thinking", "thinking": "hm", "signature": "sig"});
    let thought = Piece::Thought { api: "anthropic".into(), raw };
    let bash = call("t1", "bash", json!({"command": "ls"}));
    assert_eq!(pieces, [thought, Piece::Text("ab".into()), bash, call("t2", "read", json!({"path": "x"}))]);
    let usage = Usage { input: 10, output: 20, cache_read: 5, cache_write: 2, thought: 0 };
    assert_eq!(end, Some((Stop::End, usage)));
    assert_eq!(usage.total(), 37);
    // Without its end it is not complete.
    assert_eq!(read(Api::Anthropic, &events[..15]).unwrap().2, None);
    for (reason, stop) in [("max_tokens", Stop::Length), ("refusal", Stop::Refusal), ("new", Stop::End)] {
        let end = [
            json!({"type": "message_delta", "delta": {"stop_reason": reason}}),
            json!({"type": "message_stop"}),
        ];
        assert_eq!(read(Api::Anthropic, &end).unwrap().2.unwrap().0, stop);
    }
    let error = json!({"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}});
    assert!(read(Api::Anthropic, &[error]).unwrap_err().again);
}

#[test]
fn chat() {
    let change = |delta: Value| json!({"choices": [{"index": 0, "delta": delta, "finish_reason": null}]});
    let events = [
        change(json!({"role": "assistant", "content": ""})),
        change(json!({"reasoning_content": "hm"})),
        change(json!({"content": "a"})),
        change(json!({"content": "b"})),
        change(json!({"tool_calls": [{"index": 0, "id": "c1", "type": "function",
            "function": {"name": "bash", "arguments": ""}}]})),
        change(json!({"tool_calls": [{"index": 0, "function": {"arguments": "{\"command\":"}}]})),
        change(
            json!({"tool_calls": [{"index": 1, "id": "c2", "function": {"name": "read", "arguments": "{}"}}]}),
        ),
        change(
            json!({"tool_calls": [{"index": 0, "id": "c1", "function": {"name": "bash", "arguments": "\"ls\"}"}}]}),
        ),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "tool_calls"}]}),
        json!({"choices": [], "usage": {"prompt_tokens": 15, "completion_tokens": 20,
            "prompt_tokens_details": {"cached_tokens": 5}, "completion_tokens_details": {"reasoning_tokens": 3}}}),
        json!("[DONE]"),
    ];
    let (shown, pieces, end) = read(Api::OpenAiChat, &events).unwrap();
    assert_eq!(shown, [Delta::Thought("hm".into()), Delta::Text("a".into()), Delta::Text("b".into())]);
    let thought = Piece::Thought { api: "openai-chat".into(), raw: json!({"reasoning_content": "hm"}) };
    let bash = call("c1", "bash", json!({"command": "ls"}));
    assert_eq!(pieces, [thought, Piece::Text("ab".into()), bash, call("c2", "read", json!({}))]);
    let usage = Usage { input: 10, output: 20, cache_read: 5, cache_write: 0, thought: 3 };
    assert_eq!(end, Some((Stop::End, usage)));
    assert!(read(Api::OpenAiChat, &events[..8]).unwrap().2.is_none());
    // Calls without numbers, whole.
    let whole = change(json!({"tool_calls": [
        {"function": {"name": "a", "arguments": {"x": 1}}}, {"function": {"name": "b", "arguments": "{}"}}]}));
    let pieces = read(Api::OpenAiChat, &[whole]).unwrap().1;
    assert_eq!(pieces, [call("call_0", "a", json!({"x": 1})), call("call_1", "b", json!({}))]);
    let error = json!({"error": {"message": "no", "type": "server_error"}});
    assert!(read(Api::OpenAiChat, &[error]).unwrap_err().message.contains("no"));
    let huge = change(json!({"tool_calls": [{"index": u64::MAX, "function": {"name": "a"}}]}));
    assert_eq!(read(Api::OpenAiChat, &[huge]).unwrap().1.len(), 1);
}

#[test]
fn responses() {
    let events = [
        json!({"type": "response.created", "response": {}}),
        json!({"type": "response.output_item.added", "output_index": 0, "item": {"type": "reasoning"}}),
        json!({"type": "response.reasoning_summary_text.delta", "output_index": 0, "delta": "hm"}),
        json!({"type": "response.output_item.added", "output_index": 1, "item": {"type": "message", "content": []}}),
        json!({"type": "response.output_text.delta", "output_index": 1, "delta": "ab"}),
        json!({"type": "response.output_item.done", "output_index": 1,
            "item": {"type": "message", "content": [{"type": "output_text", "text": "ab"}]}}),
        json!({"type": "response.output_item.added", "output_index": 2,
            "item": {"type": "function_call", "id": "fc", "call_id": "c1", "name": "bash", "arguments": ""}}),
        json!({"type": "response.function_call_arguments.delta", "output_index": 2, "delta": "{\"command\":\"ls\"}"}),
        json!({"type": "response.output_item.done", "output_index": 2, "item": {"type": "function_call",
            "call_id": "c1", "name": "bash", "arguments": "{\"command\":\"ls\"}"}}),
        json!({"type": "response.output_item.done", "output_index": 3,
            "item": {"type": "function_call", "call_id": "c2", "name": "read", "arguments": "{\"path\":\"x\"}"}}),
        json!({"type": "response.completed", "response": {"usage": {"input_tokens": 15, "output_tokens": 20,
            "input_tokens_details": {"cached_tokens": 5}, "output_tokens_details": {"reasoning_tokens": 3}}}}),
    ];
    let (shown, pieces, end) = read(Api::OpenAiResponses, &events).unwrap();
    assert_eq!(shown, [Delta::Thought("hm".into()), Delta::Text("ab".into())]);
    let bash = call("c1", "bash", json!({"command": "ls"}));
    assert_eq!(pieces, [Piece::Text("ab".into()), bash, call("c2", "read", json!({"path": "x"}))]);
    let usage = Usage { input: 10, output: 20, cache_read: 5, cache_write: 0, thought: 3 };
    assert_eq!(end, Some((Stop::End, usage)));
    // A message that comes whole is shown whole.
    let (shown, ..) = read(Api::OpenAiResponses, &events[5..6]).unwrap();
    assert_eq!(shown, [Delta::Text("ab".into())]);
    for (reason, stop) in [("max_output_tokens", Stop::Length), ("content_filter", Stop::Refusal)] {
        let response = json!({"incomplete_details": {"reason": reason}});
        let event = json!({"type": "response.incomplete", "response": response});
        assert_eq!(read(Api::OpenAiResponses, &[event]).unwrap().2.unwrap().0, stop);
    }
    for event in [
        json!({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "m"}}}),
        json!({"type": "error", "code": "rate_limit_exceeded", "message": "m"}),
    ] {
        assert!(read(Api::OpenAiResponses, &[event]).unwrap_err().again);
    }
}

#[test]
fn what_is_no_json_is_a_broken_answer() {
    for api in [Api::Anthropic, Api::OpenAiChat, Api::OpenAiResponses] {
        let fault = read(api, &[json!("{oops")]).unwrap_err();
        assert!(fault.again && fault.message.contains("{oops"));
        for odd in [json!([]), json!(1), json!({"type": 5, "choices": 7, "delta": []})] {
            assert_eq!(read(api, &[odd]).unwrap().1, []);
        }
    }
}

#[test]
fn requests_hold_the_history() {
    let items = [
        Item::User(vec![
            Block::Text("look".into()),
            Block::Image { mime: "image/png".into(), data: "QQ==".into() },
        ]),
        Item::Assistant(vec![
            Piece::Thought { api: "anthropic".into(), raw: json!({"type": "thinking", "thinking": "hm"}) },
            Piece::Thought { api: "openai-chat".into(), raw: json!({"reasoning_content": "hm"}) },
            call("t1", "bash", json!({"command": "ls"})),
        ]),
        Item::Results(vec![Outcome { call: "t1".into(), ok: false, text: "no".into() }]),
        Item::User(vec![Block::Text("go on".into())]),
    ];
    let tools = [Tool { name: "bash".into(), description: "d".into(), schema: json!({"type": "object"}) }];
    let query = Query { model: "m", system: "s", items: &items, tools: &tools, max_tokens: Some(5) };
    let body = |api, url: &str| {
        let settings =
            Settings { api, url: url.into(), models: vec!["m".into()], context: 5000, max_tokens: None };
        let request = request(&settings, &query);
        assert!(request.headers.iter().all(|(name, _)| name != "authorization" && name != "x-api-key"));
        serde_json::from_slice::<Value>(&request.body).unwrap()
    };
    let anthropic = body(Api::Anthropic, "http://h");
    let cache = json!({"type": "ephemeral"});
    assert_eq!(
        anthropic["messages"],
        json!([
            {"role": "user", "content": [
                {"type": "text", "text": "look"},
                {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "QQ=="}},
            ]},
            {"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm"},
                {"type": "tool_use", "id": "t1", "name": "bash", "input": {"command": "ls"}},
            ]},
            {"role": "user", "content": [
                {"type": "tool_result", "tool_use_id": "t1", "content": "no", "is_error": true},
                {"type": "text", "text": "go on", "cache_control": cache},
            ]},
        ])
    );
    assert_eq!(
        (&anthropic["max_tokens"], &anthropic["tools"][0]["input_schema"]["type"]),
        (&json!(5), &json!("object"))
    );
    let chat = body(Api::OpenAiChat, "https://api.openai.com/v1/chat/completions");
    assert_eq!((&chat["max_completion_tokens"], &chat["max_tokens"]), (&json!(5), &Value::Null));
    assert_eq!(body(Api::OpenAiChat, "http://h")["max_tokens"], 5);
    let function = json!({"name": "bash", "arguments": "{\"command\":\"ls\"}"});
    assert_eq!(
        chat["messages"],
        json!([
            {"role": "system", "content": "s"},
            {"role": "user", "content": [
                {"type": "text", "text": "look"},
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,QQ=="}},
            ]},
            {"role": "assistant", "content": null, "reasoning_content": "hm",
             "tool_calls": [{"id": "t1", "type": "function", "function": function}]},
            {"role": "tool", "tool_call_id": "t1", "content": "Error: no"},
            {"role": "user", "content": "go on"},
        ])
    );
    let responses = body(Api::OpenAiResponses, "http://h");
    assert_eq!(responses["input"][1]["call_id"], "t1");
    assert_eq!(
        responses["input"][2],
        json!({"type": "function_call_output", "call_id": "t1", "output": "Error: no"})
    );
    assert_eq!((&responses["store"], &responses["max_output_tokens"]), (&json!(false), &json!(5)));
}
