//! The command: which kit, which tool, and what is written about it.

use std::ffi::OsString;
use std::io::{Read as _, Write as _};

use agentos_guest::tools::TOOL_INPUT_MAX;

use crate::flags::{self, Wish};
use crate::kit::{Host, Kit, Machine, Tool};
use crate::{help, mcp, remote, schema};

/// The status of a failure.
const FAILED: i32 = 1;
/// The status of a command that nothing can be done with.
const USAGE: i32 = 2;
/// What a toolkit's own command begins with.
const PREFIX: &str = "agentos-";

/// The bridge to an MCP server elsewhere.
const REMOTE: &str = "mcp-remote";

/// An end with a message.
#[derive(Debug, PartialEq, Eq)]
struct Stop(i32, String);

fn usage(message: impl Into<String>) -> Stop {
    Stop(USAGE, message.into())
}

/// Runs the command with its arguments, the first being its name; the status.
pub fn main(arguments: &[OsString]) -> i32 {
    let ended = text(arguments).and_then(|words| {
        let line: Vec<&str> = words.iter().map(String::as_str).collect();
        if let [REMOTE, rest @ ..] = line.as_slice()
            && !is_help(rest)
        {
            let served = remote::serve(rest).map_err(usage)?;
            return served.map(|()| String::new()).map_err(|why| Stop(FAILED, format!("{REMOTE}: {why}")));
        }
        let kits = Machine.kits().map_err(|why| Stop(FAILED, why))?;
        match line[..] {
            ["mcp"] => mcp::serve(&kits).map(|()| String::new()).map_err(|why| Stop(FAILED, why)),
            _ => answer(&Machine, &kits, &words),
        }
    });
    let (status, written) = match ended {
        Ok(text) => {
            (0, std::io::stdout().write_all(text.as_bytes()).and_then(|()| std::io::stdout().flush()))
        }
        Err(Stop(status, message)) => {
            eprintln!("agentos: {message}");
            (status, Ok(()))
        }
    };
    match written {
        Ok(()) => status,
        Err(error) => {
            eprintln!("agentos: write error: {}", agentos_guest::strerror(&error));
            FAILED
        }
    }
}

/// The arguments, those of a toolkit's own command as if it were named: without the name of the command.
fn text(arguments: &[OsString]) -> Result<Vec<String>, Stop> {
    let word = |argument: &OsString| {
        argument.to_str().map(str::to_owned).ok_or_else(|| usage(format!("{argument:?} is no text")))
    };
    let (name, rest) = match arguments.split_first() {
        Some((name, rest)) => (word(name)?, rest),
        None => (String::new(), arguments),
    };
    let name = name.rsplit('/').next().unwrap_or_default();
    let kit = name.strip_prefix(PREFIX).map(|kit| Ok(kit.to_owned()));
    kit.into_iter().chain(rest.iter().map(word)).collect()
}

/// What is to be written to standard output.
fn answer(host: &impl Host, kits: &[Kit], words: &[String]) -> Result<String, Stop> {
    let Some((first, rest)) = words.split_first() else {
        return Err(usage(format!("nothing to do\n\n{}", help::command(kits).trim_end())));
    };
    match first.as_str() {
        "--help" | "-h" | "help" => Ok(help::command(kits)),
        "--version" => Ok(format!("agentos {}\n", env!("CARGO_PKG_VERSION"))),
        "list-tools" => list(kits, rest),
        "mcp" if is_help(rest) => Ok(help::mcp()),
        REMOTE => Ok(help::remote()),
        "mcp" => Err(usage("mcp takes no arguments")),
        flag if flag.starts_with('-') => Err(usage(format!("there is no {flag}; see agentos --help"))),
        name => {
            let kit = find_kit(kits, name)?;
            match rest.split_first() {
                None => Err(usage(format!("which tool?\n\n{}", help::kit(kit).trim_end()))),
                Some((word, _)) if word == "--help" || word == "-h" => Ok(help::kit(kit)),
                Some((tool, flags)) => call(host, kit, find_tool(kit, tool)?, flags),
            }
        }
    }
}

fn is_help(words: &[impl AsRef<str>]) -> bool {
    words.iter().any(|word| matches!(word.as_ref(), "--help" | "-h"))
}

fn find_kit<'a>(kits: &'a [Kit], name: &str) -> Result<&'a Kit, Stop> {
    kits.iter().find(|kit| kit.name == name).ok_or_else(|| {
        let known: Vec<&str> = kits.iter().map(|kit| kit.name.as_str()).collect();
        usage(match known.is_empty() {
            true => format!("there is no toolkit {name:?}: this machine has none"),
            false => format!("there is no toolkit {name:?}; there are: {}", known.join(", ")),
        })
    })
}

fn find_tool<'a>(kit: &'a Kit, name: &str) -> Result<&'a Tool, Stop> {
    kit.tools.iter().find(|tool| tool.name == name).ok_or_else(|| {
        let known: Vec<&str> = kit.tools.iter().map(|tool| tool.name.as_str()).collect();
        usage(format!("{} has no tool {name:?}; it has: {}", kit.name, known.join(", ")))
    })
}

fn list(kits: &[Kit], arguments: &[String]) -> Result<String, Stop> {
    let (mut json, mut only) = (false, None);
    for argument in arguments {
        match argument.as_str() {
            "--help" | "-h" => return Ok(help::list()),
            "--json" => json = true,
            flag if flag.starts_with('-') => {
                return Err(usage(format!("list-tools: there is no {flag}; see --help")));
            }
            name if only.is_none() => only = Some(find_kit(kits, name)?),
            _ => return Err(usage("list-tools: one toolkit at most")),
        }
    }
    let shown: Vec<&Kit> = only.map_or_else(|| kits.iter().collect(), |kit| vec![kit]);
    if json {
        let text = serde_json::to_string(&shown).map_err(|error| Stop(FAILED, error.to_string()))?;
        return Ok(format!("{text}\n"));
    }
    if shown.is_empty() {
        return Ok("This machine has no toolkits.\n".to_owned());
    }
    let mut text = String::new();
    let rows: Vec<_> = shown
        .iter()
        .flat_map(|kit| {
            kit.tools.iter().map(|tool| (format!("{} {}", kit.name, tool.name), tool.description.clone()))
        })
        .collect();
    help::table(&mut text, &rows);
    Ok(text)
}

fn call(host: &impl Host, kit: &Kit, tool: &Tool, arguments: &[String]) -> Result<String, Stop> {
    let at = |why: String| usage(format!("{} {}: {why}", kit.name, tool.name));
    let input = match flags::parse(&schema::properties(&tool.input_schema), arguments).map_err(at)? {
        Wish::Help => return Ok(help::tool(kit, tool)),
        Wish::Input(input) => input.to_string(),
        Wish::File(file) => read(&file).map_err(at)?,
    };
    match host.call(&kit.name, &tool.name, &input) {
        Ok(result) => Ok(format!("{{\"ok\":true,\"result\":{result}}}\n")),
        Err(error) => Err(Stop(FAILED, format!("{} {}: {error}", kit.name, tool.name))),
    }
}

/// The JSON in a file. What it means is not looked at, only that it is one.
fn read(file: &str) -> Result<String, String> {
    let cannot = |error: std::io::Error| format!("--json-file {file}: {}", agentos_guest::strerror(&error));
    let mut text = String::new();
    let most = TOOL_INPUT_MAX as u64 + 1;
    match file {
        "-" => std::io::stdin().take(most).read_to_string(&mut text),
        file => std::fs::File::open(file).map_err(cannot)?.take(most).read_to_string(&mut text),
    }
    .map_err(cannot)?;
    if text.len() > TOOL_INPUT_MAX {
        return Err(format!("--json-file {file}: an input has {TOOL_INPUT_MAX} bytes at most"));
    }
    serde_json::from_str::<serde::de::IgnoredAny>(&text)
        .map_err(|error| format!("--json-file {file} is no JSON: {error}"))?;
    Ok(text)
}

#[cfg(test)]
mod tests {
    use agentos_guest::Errno;
    use agentos_guest::tools::ToolError;
    use serde_json::json;

    use super::*;

    /// Repeats the input, or fails.
    struct Echo;

    impl Host for Echo {
        fn kits(&self) -> Result<Vec<Kit>, String> {
            let tool = |name: &str| Tool {
                name: name.to_owned(),
                description: format!("Does {name}."),
                input_schema: json!({"properties": {"maxSize": {"type": "integer"}}}),
                timeout_ms: 30_000,
            };
            let tools = vec![tool("echo"), tool("fail")];
            Ok(vec![Kit { name: "demo".into(), description: "For tests.".into(), tools }])
        }

        fn call(&self, kit: &str, tool: &str, input: &str) -> Result<String, ToolError> {
            match tool {
                "echo" => Ok(format!("[{kit:?},{input}]")),
                _ => Err(ToolError { errno: Errno::EIO, message: "it broke".to_owned() }),
            }
        }
    }

    fn ran(line: &[&str]) -> Result<String, Stop> {
        let arguments: Vec<OsString> = line.iter().map(OsString::from).collect();
        answer(&Echo, &Echo.kits().unwrap(), &text(&arguments)?)
    }

    #[test]
    fn results_are_written_and_failures_told() {
        let result = "{\"ok\":true,\"result\":[\"demo\",{\"maxSize\":3}]}\n";
        assert_eq!(ran(&["agentos", "demo", "echo", "--max-size", "3"]).unwrap(), result);
        assert_eq!(ran(&["/usr/local/bin/agentos-demo", "echo", "--max-size=3"]).unwrap(), result);
        assert_eq!(ran(&["agentos", "demo", "echo", "--json", "{\"maxSize\": 3}"]).unwrap(), result);
        let failed = Stop(1, "demo fail: it broke".to_owned());
        assert_eq!(ran(&["agentos", "demo", "fail"]), Err(failed));
    }

    #[test]
    fn every_level_has_help() {
        for (line, has) in [
            (&["agentos", "--help"][..], "Toolkits:\n  demo  For tests."),
            (&["agentos", "help"], "Usage: agentos list-tools"),
            (&["agentos", "mcp", "--help"], "MCP server"),
            (&["agentos", "mcp-remote", "--help"], "[--grant NAME] URL"),
            (&["agentos", "list-tools", "--help"], "Lists the tools"),
            (&["agentos", "demo", "--help"], "  echo  Does echo."),
            (&["agentos-demo", "-h"], "Usage: agentos demo TOOL"),
            (&["agentos", "demo", "echo", "--help"], "--max-size INTEGER"),
            (&["agentos", "list-tools"], "  demo echo  Does echo.\n  demo fail  Does fail.\n"),
            (&["agentos", "list-tools", "demo", "--json"], "[{\"name\":\"demo\","),
        ] {
            let text = ran(line).unwrap();
            assert!(text.contains(has), "{line:?}: {text}");
        }
    }

    #[test]
    fn what_nothing_can_be_done_with_has_status_2() {
        for (line, has) in [
            (&["agentos"][..], "nothing to do"),
            (&["agentos", "--nonsense"], "no --nonsense"),
            (&["agentos", "weather"], "no toolkit \"weather\"; there are: demo"),
            (&["agentos", "demo"], "which tool?"),
            (&["agentos-demo", "x"], "demo has no tool \"x\"; it has: echo, fail"),
            (&["agentos", "demo", "echo", "x"], "demo echo: \"x\": arguments are flags"),
            (&["agentos", "list-tools", "x"], "no toolkit"),
            (&["agentos", "list-tools", "demo", "demo"], "one toolkit"),
            (&["agentos", "mcp", "x"], "no arguments"),
            (&["agentos", "demo", "echo", "--json-file", "/no/such"], "No such file or directory"),
        ] {
            let Stop(status, message) = ran(line).unwrap_err();
            assert!(status == 2 && message.contains(has), "{line:?}: {status} {message}");
        }
        let kits: &[Kit] = &[];
        assert!(answer(&Echo, kits, &["x".to_owned()]).unwrap_err().1.contains("has none"));
    }

    #[test]
    fn inputs_come_from_files() {
        let file = std::env::temp_dir().join(format!("agentos-toolkits-{}", std::process::id()));
        std::fs::write(&file, "{\"maxSize\": 4}").unwrap();
        let path = file.to_str().unwrap();
        let result = ran(&["agentos", "demo", "echo", "--json-file", path]).unwrap();
        std::fs::write(&file, "{").unwrap();
        let broken = ran(&["agentos", "demo", "echo", "--json-file", path]).unwrap_err();
        std::fs::remove_file(&file).unwrap();
        assert_eq!(result, "{\"ok\":true,\"result\":[\"demo\",{\"maxSize\": 4}]}\n");
        assert!(broken.1.contains("is no JSON"), "{}", broken.1);
    }
}
