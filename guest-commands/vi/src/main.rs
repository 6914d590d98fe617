//! vi, view and ex: a small editor with the keys of vi, as people who know vim expect them.
//!
//! Absent: windows, tags, mappings and abbreviations, vim's script language, syntax colours, mouse, folds.

#![forbid(unsafe_code)]

mod arguments;
mod block;
mod buffer;
mod chars;
mod edit;
mod editor;
mod ex;
mod file;
mod host;
mod insert;
mod key;
mod lines;
mod motion;
mod moves;
mod normal;
mod object;
mod operator;
mod options;
mod pattern;
mod prompt;
mod register;
mod screen;
mod script;
mod searching;
mod session;
mod terminal;
#[cfg(test)]
mod tests;
mod visual;

use arguments::Wish;
use editor::{Editor, Stop};

fn main() {
    let arguments: Vec<std::ffi::OsString> = std::env::args_os().collect();
    let status = match arguments::parse(&arguments) {
        Ok(Wish::Say(text)) => {
            print!("{text}");
            0
        }
        Ok(Wish::Edit(wish)) => run(*wish),
        Err(text) => {
            eprintln!("{text}\nMore info with: \"vi -h\"");
            1
        }
    };
    std::process::exit(status);
}

/// Opens what is to be edited, runs the commands of the command line, and then those that are typed.
fn run(wish: arguments::Edit) -> i32 {
    let host: Box<dyn host::Host> = match host_of(&wish) {
        Ok(host) => host,
        Err(error) => {
            eprintln!("Vim: cannot use the terminal: {}", agentos_guest::strerror(&error));
            return 1;
        }
    };
    let mut editor = Editor::new(host);
    editor.line_mode = wish.line_mode;
    // Commands that nobody types are not answered.
    editor.silent = wish.silent || (wish.line_mode && !agentos_guest::fd::isatty(0));
    editor.compatible = editor.silent && !wish.modern;
    editor.only_view = wish.view;
    if !wish.silent && !wish.bare {
        settings(&mut editor);
    }
    editor.arguments = wish.files;
    let first = editor.arguments.first().cloned();
    let opened = match (&first, wish.recover) {
        _ if wish.stdin => editor.read_stdin(),
        (Some(name), true) => editor.recover(name),
        _ => editor.open(first, false),
    };
    if let Err(stop) = opened {
        editor.complain(stop);
    }
    for command in wish.commands {
        editor.buf.begin(editor.cursor);
        let result = editor.ex(&command);
        editor.buf.end();
        if let Err(stop) = result
            && stop != Stop::End
        {
            editor.complain(stop);
        }
        if let Some(status) = editor.quit {
            return status;
        }
    }
    if wish.line_mode { script::run(&mut editor) } else { editor.run() }
}

/// Runs the commands of `EXINIT`, or else those of `~/.exrc`.
fn settings(editor: &mut Editor) {
    let home = std::env::var("HOME").map(|home| format!("{home}/.exrc")).unwrap_or_default();
    let result = match std::env::var("EXINIT") {
        Ok(text) => editor.ex(&text),
        Err(_) if std::path::Path::new(&home).is_file() => editor.source(&home),
        Err(_) => Ok(()),
    };
    if let Err(stop) = result {
        editor.complain(stop);
    }
}

/// A terminal if keys come from one and a screen is seen; else keys and commands are read as they come.
fn host_of(wish: &arguments::Edit) -> std::io::Result<Box<dyn host::Host>> {
    let (input, output) = (agentos_guest::fd::isatty(0), agentos_guest::fd::isatty(1));
    if !wish.line_mode {
        if !output {
            eprintln!("Vim: Warning: Output is not to a terminal");
        }
        if !input && !wish.stdin {
            eprintln!("Vim: Warning: Input is not from a terminal");
        }
        if output && (input || wish.stdin) {
            return Ok(Box::new(session::Session::new()?));
        }
    }
    Ok(Box::new(script::Script::new()))
}
