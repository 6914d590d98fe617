//! What endpoints do wrong: refusals, overload, lost connections, nonsense. Each turn has one end.

use serde_json::json;

use crate::{
    agent::{APIS, Bench, With, agent, end, settings, text, thoughts},
    model::{Reply, Turn},
};

fn error(message: &str) -> String {
    json!({"type": "error", "error": {"type": "x_error", "message": message}}).to_string()
}

#[test]
fn without_a_model_the_session_says_what_to_set() {
    let bench = Bench::new();
    let mut client = agent(&bench.home, agentos_coder::Settings::from_env(|_| None));
    client.call("initialize", json!({"protocolVersion": 1}));
    for method in ["session/new", "session/load"] {
        let params = json!({"sessionId": "x", "cwd": "/", "mcpServers": []});
        let refused = client.call(method, params)["error"]["message"].as_str().unwrap().to_owned();
        for name in ["AGENTOS_MODEL_API", "AGENTOS_MODEL", "AGENTOS_MODEL_BASE_URL"] {
            assert!(refused.contains(name), "{refused}");
        }
    }
}

#[test]
fn a_key_that_is_refused_is_not_tried_again() {
    for (api, _) in APIS {
        let mut bench = Bench::with(With { api, ..With::default() });
        for status in [401, 403] {
            bench.model.reply(Reply::Status(status, vec![], error("bad key")));
            let end = end(&bench.client.run("hi"));
            assert!(
                end.contains(&format!("answered {status}: bad key")) && end.contains("egress policy"),
                "{end}"
            );
        }
        assert_eq!(bench.model.asked().len(), 2);
        assert_eq!(end(&bench.client.run("hi")), "end_turn");
    }
}

#[test]
fn a_prompt_that_is_not_taken_does_not_spoil_the_next() {
    let mut bench = Bench::new();
    assert_eq!(end(&bench.client.run("first")), "end_turn");
    bench.model.reply(Reply::Status(400, vec![], error("no such image")));
    let end_of = end(&bench.client.run("spoiled"));
    assert!(end_of.contains("answered 400: no such image. The prompt is left out"), "{end_of}");
    assert_eq!(end(&bench.client.run("last")), "end_turn");
    let last = bench.model.asked().last().unwrap().body.to_string();
    assert!(last.contains("first") && !last.contains("spoiled"), "{last}");
}

#[test]
fn overload_is_waited_for() {
    for (api, _) in APIS {
        let mut bench = Bench::with(With { api, ..With::default() });
        for status in [429, 500, 502, 503, 529] {
            bench.model.reply(Reply::Status(status, vec!["retry-after: 0.01".into()], error("busy")));
        }
        let all = bench.client.run("hi");
        assert_eq!((end(&all).as_str(), text(&all).as_str()), ("end_turn", "All done."));
        assert!(
            thoughts(&all).contains("answered 529: busy; trying again in 0.0 s (5 of 5)"),
            "{}",
            thoughts(&all)
        );
        for _ in 0..6 {
            bench.model.reply(Reply::Status(503, vec![], error("busy")));
        }
        let end = end(&bench.client.run("hi"));
        assert!(end.contains("answered 503: busy (tried 6 times)"), "{end}");
        assert_eq!(bench.model.asked().len(), 12);
    }
}

#[test]
fn nobody_waits_for_hours() {
    let mut bench = Bench::new();
    bench.model.reply(Reply::Status(429, vec!["retry-after: 3600".into()], error("come back later")));
    assert!(end(&bench.client.run("hi")).contains("come back later"));
    assert_eq!(bench.model.asked().len(), 1);
    let quota = json!({"error": {"code": "insufficient_quota", "message": "pay"}}).to_string();
    bench.model.reply(Reply::Status(429, vec![], quota));
    assert!(end(&bench.client.run("hi")).contains("pay"));
    assert_eq!(bench.model.asked().len(), 2);
}

#[test]
fn a_lost_answer_is_asked_for_again_if_nothing_of_it_was_shown() {
    for (api, _) in APIS {
        let mut bench = Bench::with(With { api, ..With::default() });
        let events = bench.events(&Turn { text: "Once upon a time".into(), ..Turn::default() });
        bench.model.reply(Reply::Cut(events[..1].to_vec()));
        bench.model.reply(Reply::Cut(vec![]));
        let all = bench.client.run("hi");
        assert_eq!((end(&all).as_str(), text(&all).as_str()), ("end_turn", "All done."), "{api}");
        assert_eq!(bench.model.asked().len(), 3);
        // A call that is not complete was not shown.
        let call = Turn {
            calls: vec![("bash".into(), json!({"command": "echo a long command"}))],
            ..Turn::default()
        };
        let events = bench.events(&call);
        bench.model.reply(Reply::Cut(events[..3].to_vec()));
        assert_eq!(end(&bench.client.run("hi")), "end_turn");
        assert_eq!(bench.model.asked().len(), 5);
        // What was shown cannot be taken back.
        let events = bench.events(&Turn { text: "Once upon a time".into(), ..Turn::default() });
        bench.model.reply(Reply::Cut(events[..events.len() - 3].to_vec()));
        let all = bench.client.run("hi");
        assert!(text(&all).starts_with("Once upon"));
        assert!(end(&all).contains("lost"), "{}", end(&all));
        assert_eq!(bench.model.asked().len(), 6);
        // A stream that ends well, but too early, is lost as well.
        bench.model.reply(Reply::Events(events[..events.len() - 3].to_vec()));
        assert!(end(&bench.client.run("hi")).contains("lost"));
    }
}

#[test]
fn nonsense_is_an_error_and_not_a_hang() {
    for (api, _) in APIS {
        let mut bench = Bench::with(With { api, ..With::default() });
        for _ in 0..6 {
            bench.model.reply(Reply::Raw("data: {oops\n\n".into()));
        }
        assert!(end(&bench.client.run("hi")).contains("no JSON: {oops (tried 6 times)"), "{api}");
        bench.model.reply(Reply::Raw("data: \"odd\"\n\ndata: [1]\n\n: comment\n\n".into()));
        assert_eq!(end(&bench.client.run("hi")), "end_turn");
        // A server that does not know streams.
        bench.model.reply(Reply::Status(200, vec![], "{\"choices\": []}".into()));
        let end = end(&bench.client.run("hi"));
        assert!(end.contains("application/json instead of a stream"), "{end}");
    }
}

#[test]
fn errors_within_a_stream_are_told_or_tried_again() {
    for (api, events) in [
        (
            "anthropic",
            [
                json!({"type": "error", "error": {"type": "overloaded_error", "message": "busy"}}),
                json!({"type": "error", "error": {"type": "invalid_request_error", "message": "wrong"}}),
            ],
        ),
        (
            "openai-chat",
            [
                json!({"error": {"type": "server_error", "message": "busy"}}),
                json!({"error": {"message": "wrong"}}),
            ],
        ),
        (
            "openai-responses",
            [
                json!({"type": "response.failed", "response": {"error": {"code": "server_error", "message": "busy"}}}),
                json!({"type": "error", "code": "x", "message": "wrong"}),
            ],
        ),
    ] {
        let mut bench = Bench::with(With { api, ..With::default() });
        bench.model.reply(Reply::Events(vec![events[0].to_string()]));
        assert_eq!(end(&bench.client.run("hi")), "end_turn");
        bench.model.reply(Reply::Events(vec![events[1].to_string()]));
        assert!(end(&bench.client.run("hi")).ends_with("with an error: wrong"));
        assert_eq!(bench.model.asked().len(), 3, "{api}");
    }
}

#[test]
fn an_answer_without_end_is_stopped() {
    let mut bench = Bench::new();
    let block = json!({"type": "content_block_start", "index": 0,
        "content_block": {"type": "tool_use", "id": "t", "name": "bash", "input": {}}});
    let more = json!({"type": "content_block_delta", "index": 0,
        "delta": {"type": "input_json_delta", "partial_json": "x".repeat(1 << 20)}});
    let events = [block].into_iter().chain(vec![more; 10]).map(|event| event.to_string()).collect();
    bench.model.reply(Reply::Hang(events));
    assert!(end(&bench.client.run("hi")).contains("longer than 8 MiB"));
}

#[test]
fn an_endpoint_that_is_not_there() {
    let bench = Bench::new();
    let gone = crate::model::Model::start();
    let mut settings = settings(&gone, "anthropic", 100_000).unwrap();
    settings.url = settings.url.replace(&gone.port().to_string(), "1");
    let mut client = agent(&bench.home, Ok(settings));
    client.start(json!({}), "/tmp", json!([]));
    let end = end(&client.run("hi"));
    assert!(end.contains("http://127.0.0.1:1 may not be reached: Connection refused"), "{end}");
}
