//! Files of an editor behind `agentos acp`: `coder` reads and writes what is open there, and nothing in the machine leads the editor
//! elsewhere. What a client of the library has is in `test_client_files`.

use agentos_tests::editor::Editor;
use agentos_tests::model::Model;
use agentos_tests::watched;
use serde_json::json;

#[test]
fn the_agent_sees_what_is_open_in_the_editor_and_writes_it_there() {
    watched(async || {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().canonicalize().unwrap();
        let place = |name: &str| root.join(name).to_str().unwrap().to_owned();
        std::fs::create_dir(place("project")).unwrap();
        std::fs::create_dir(place("kept")).unwrap();
        for file in ["project/open.txt", "project/closed.txt", "kept/file"] {
            std::fs::write(place(file), "saved\n").unwrap();
        }
        std::os::unix::fs::symlink("/etc/hostname", place("project/link")).unwrap();
        let model = Model::start();
        let url = model.url();
        let kept = format!("{}:/kept:ro", place("kept"));
        let args = [
            "--agent",
            "coder",
            "--model",
            "mock",
            "--base-url",
            &url,
            "--api",
            "anthropic",
            "--mount",
            &kept,
        ];
        let calls = json!([
            {"tool": "read", "input": {"path": "open.txt"}},
            {"tool": "edit", "input": {"path": "open.txt", "old_text": "typed", "new_text": "mended"}},
            {"tool": "write", "input": {"path": "closed.txt", "content": "written\n"}},
            {"tool": "read", "input": {"path": "link"}},
            {"tool": "read", "input": {"path": "/kept/file"}},
            {"tool": "write", "input": {"path": "/kept/file", "content": "no"}},
            {"tool": "bash", "input": {"command": "cat open.txt closed.txt"}},
        ]);
        let prompt = format!("Do it. MOCK{}", json!({"calls": calls, "text": "done"}));
        let can = json!({"fs": {"readTextFile": true, "writeTextFile": true}});
        for (more, asks) in [(&[][..], true), (&["--editor-files", "never"][..], false)] {
            let args: Vec<&str> = args.iter().chain(more).copied().collect();
            let (mut editor, _) = Editor::introduced(&args, can.clone()).await;
            let open = place("project/open.txt");
            editor.files.insert(open.clone(), "typed, not saved\n".to_owned());
            let session = editor.session(&place("project")).await;
            let mode = json!({"sessionId": session, "modeId": "bypass"});
            editor.call("session/set_mode", mode).await;
            let all = editor.run(&session, &prompt, "allow_once").await;
            assert_eq!(all.last().unwrap()["result"]["stopReason"], "end_turn", "{all:?}");
            let outputs: Vec<&str> = all
                .iter()
                .filter_map(|message| message["params"]["update"]["rawOutput"]["output"].as_str())
                .collect();
            assert_eq!(outputs.len(), 7, "{outputs:?}");
            if !asks {
                assert!(outputs[0].contains("saved") && editor.asked.is_empty(), "{outputs:?}");
                editor.finish().await;
                continue;
            }
            assert!(outputs[0].contains("typed, not saved"), "{outputs:?}");
            assert_eq!(editor.files[&open], "mended, not saved\n");
            // What the editor has not saved is not on the disk; what it does not have is written there.
            assert_eq!(outputs[6], "saved\nwritten\n");
            assert_eq!(std::fs::read_to_string(place("project/closed.txt")).unwrap(), "written\n");
            // The machine's own by the link, and nothing in what is read-only.
            assert!(!outputs[3].contains("No such file") && outputs[4].contains("saved"), "{outputs:?}");
            assert_eq!(std::fs::read_to_string(place("kept/file")).unwrap(), "saved\n");
            let kept = place("kept/file");
            let of_kept: Vec<&String> =
                editor.asked.iter().filter(|asked| asked.contains("/kept/")).collect();
            assert!(
                !of_kept.is_empty()
                    && of_kept.iter().all(|asked| **asked == format!("fs/read_text_file {kept}"))
            );
            assert!(editor.asked.iter().all(|asked| !asked.contains("hostname")), "{:?}", editor.asked);
            // After a load it is asked as before.
            let load = json!({"sessionId": session, "cwd": place("project"), "mcpServers": []});
            editor.call("session/load", load).await;
            editor.asked.clear();
            let again = json!({"calls": [{"tool": "read", "input": {"path": "open.txt"}}], "text": "done"});
            editor.run(&session, &format!("Again. MOCK{again}"), "").await;
            assert_eq!(editor.asked, [format!("fs/read_text_file {open}")]);
            editor.finish().await;
            std::fs::write(place("project/closed.txt"), "saved\n").unwrap();
        }
        // Nothing is to be had of an editor that has nothing, which is said.
        let args: Vec<&str> = args.iter().chain(&["--editor-files", "always"]).copied().collect();
        let (mut editor, _) = Editor::introduced(&args, json!({})).await;
        let (_, errors) = editor.status().await;
        assert!(errors.contains("the editor offers no files"), "{errors}");
    });
}

#[test]
fn a_mount_whose_path_leads_elsewhere_is_not_looked_into_by_the_editor() {
    watched(async || {
        let scratch = tempfile::tempdir().unwrap();
        let root = scratch.path().canonicalize().unwrap();
        let place = |name: &str| root.join(name).to_str().unwrap().to_owned();
        for directory in ["p/data", "secret"] {
            std::fs::create_dir_all(place(directory)).unwrap();
            std::fs::write(place(&format!("{directory}/key")), format!("of {directory}\n")).unwrap();
        }
        let model = Model::start();
        let url = model.url();
        let mounts = [format!("{}:/p", place("p")), format!("{}:/data", place("p/data"))];
        let args =
            ["--agent", "coder", "--model", "mock", "--base-url", &url, "--api", "anthropic", "--no-mount"];
        let args: Vec<&str> =
            args.into_iter().chain(mounts.iter().flat_map(|mount| ["--mount", mount])).collect();
        let can = json!({"fs": {"readTextFile": true, "writeTextFile": true}});
        let (mut editor, _) = Editor::introduced(&args, can).await;
        let session = editor.session("/data").await;
        editor.call("session/set_mode", json!({"sessionId": session, "modeId": "bypass"})).await;
        // A program of the machine may move the one directory in the other.
        let swap = format!("cd /p && mv data away && ln -s {} data", place("secret"));
        let calls = json!([
            {"tool": "read", "input": {"path": "key"}},
            {"tool": "bash", "input": {"command": swap}},
            {"tool": "read", "input": {"path": "key"}},
            {"tool": "write", "input": {"path": "new", "content": "x"}},
            {"tool": "read", "input": {"path": "/p/data/key"}},
        ]);
        let all = editor
            .run(&session, &format!("Do it. MOCK{}", json!({"calls": calls, "text": "done"})), "")
            .await;
        let outputs: Vec<&str> = all
            .iter()
            .filter_map(|message| message["params"]["update"]["rawOutput"]["output"].as_str())
            .collect();
        assert!(outputs[0].contains("of p/data"), "{outputs:?}");
        for output in [outputs[2], outputs[3]] {
            assert!(output.contains("another file than that of the machine"), "{outputs:?}");
        }
        assert!(outputs[4].contains("No such file"), "the link leads into the machine: {outputs:?}");
        assert_eq!(editor.asked, [format!("fs/read_text_file {}", place("p/data/key"))]);
        assert!(!root.join("secret/new").exists());
        editor.finish().await;
    });
}
