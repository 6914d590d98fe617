//! `unset`.

use crate::compile;
use crate::shell::{Flow, Shell};
use crate::symbols::{self, Sym, sym};
use crate::vars::{Key, NAMEREF, ORDINARY, READONLY, Target, Value};

pub(super) fn unset(sh: &mut Shell, args: &[String]) -> Result<i32, Flow> {
    let (mut variables, mut functions, mut reference) = (false, false, false);
    let mut words = &args[1..];
    while let Some(option) = words.first().filter(|w| w.starts_with('-') && w.len() > 1) {
        words = &words[1..];
        if option == "--" {
            break;
        }
        for letter in option[1..].chars() {
            match letter {
                'v' => variables = true,
                'f' => functions = true,
                'n' => reference = true,
                _ => {
                    sh.complain("unset", &format!("-{letter}: invalid option"));
                    sh.write_error("unset: usage: unset [-f] [-v] [-n] [name ...]\n");
                    return Ok(2);
                }
            }
        }
    }
    if variables && functions {
        return Ok(sh.complain("unset", "cannot simultaneously unset a function and a variable"));
    }
    let both = !variables && !functions;
    let mut status = 0;
    for word in words {
        if functions {
            status |= unset_function(sh, word);
        } else if let Some((name, rest)) = word.split_once('[')
            && let Some(key) = rest.strip_suffix(']')
            && crate::text::is_name(name)
        {
            status |= unset_element(sh, sym(name), key)?;
        } else if !crate::text::is_name(word) {
            if both && sh.functions.contains_key(word.as_str()) {
                status |= unset_function(sh, word);
            } else if variables {
                status |= sh.complain("unset", &format!("`{word}': not a valid identifier"));
            }
        } else {
            status |= unset_variable(sh, word, reference, both)?;
        }
    }
    Ok(status)
}

fn unset_function(sh: &mut Shell, name: &str) -> i32 {
    if sh.fixed_functions.contains(name) {
        return sh.complain("unset", &format!("{name}: cannot unset: readonly function"));
    }
    if sh.functions.remove(name).is_some() {
        sh.generation = sh.generation.wrapping_add(1);
        sh.vars.export_function(name, None);
    }
    0
}

fn unset_variable(sh: &mut Shell, word: &str, reference: bool, both: bool) -> Result<i32, Flow> {
    let written = sym(word);
    let is_reference = sh.vars.flags(written) & NAMEREF != 0;
    let name = match sh.vars.target(written) {
        _ if reference && !is_reference && sh.vars.flags(written) & READONLY == 0 => return Ok(0),
        _ if reference || !is_reference => written,
        Target::Var(name) => name,
        Target::Element(text) => {
            let (name, key) = text.split_once('[').unwrap_or((&text, ""));
            return unset_element(sh, sym(name), key.strip_suffix(']').unwrap_or(key));
        }
        Target::Nothing | Target::Global(_) => {
            sh.warn_circle();
            return Ok(0);
        }
    };
    if sh.vars.flags(name) & READONLY != 0 {
        return Ok(sh.complain("unset", &format!("{}: cannot unset: readonly variable", name.name())));
    }
    if matches!(name, symbols::BASH_SOURCE | symbols::BASH_LINENO | symbols::BASH_ARGC | symbols::BASH_ARGV) {
        return Ok(sh.complain("unset", &format!("{word}: cannot unset")));
    }
    if symbols::may_be_ordinary(name) && !sh.vars.is_ordinary(name)
        || sh.vars.is_set(name)
        || sh.vars.flags(name) & !ORDINARY != 0
        || !sh.vars.is_global(name)
    {
        if sh.shopts.localvar_unset {
            sh.vars.unset_here(name);
        } else {
            sh.vars.unset(name);
        }
        match name {
            symbols::POSIXLY_CORRECT => sh.opts.posix = false,
            symbols::BASH_XTRACEFD => sh.trace_to_error(),
            symbols::BASH_COMPAT => sh.set_compat(None),
            symbols::IGNOREEOF => sh.opts.ignoreeof = false,
            _ => {}
        }
        return Ok(0);
    }
    Ok(if both { unset_function(sh, word) } else { 0 })
}

fn unset_element(sh: &mut Shell, written: Sym, key: &str) -> Result<i32, Flow> {
    let name = sh.vars.resolve(written);
    if sh.vars.flags(name) & READONLY != 0 {
        return Ok(sh.complain("unset", &format!("{}: cannot unset: readonly variable", name.name())));
    }
    let assoc = sh.vars.is_assoc(name);
    if matches!(key, "@" | "*") && sh.compat <= 51 && sh.vars.is_array(name) {
        sh.vars.unset(name);
        return Ok(0);
    }
    if matches!(key, "@" | "*") && !assoc {
        match &mut sh.vars.slot_mut(name).value {
            Value::Array(items) => items.clear(),
            _ => sh.vars.unset(name),
        }
        return Ok(0);
    }
    if !sh.vars.is_set(name) || key.is_empty() {
        return Ok(0);
    }
    if !assoc && !sh.vars.is_array(name) && key != "0" {
        return Ok(sh.complain("unset", &format!("{}: not an array variable", name.name())));
    }
    let Ok(index) = compile::index(key, sh.line) else { return Ok(1) };
    let key = match sh.element_key(name, &index) {
        Ok(key) => key,
        Err(crate::arith::eval::ArithError::Flow(flow)) => return Err(flow),
        Err(crate::arith::eval::ArithError::Message(message)) => {
            let message = if message.ends_with("bad array subscript") {
                format!("[{key}]: bad array subscript")
            } else {
                message
            };
            return Ok(sh.complain("unset", &message));
        }
    };
    match (&mut sh.vars.slot_mut(name).value, key) {
        (Value::Array(items), Key::Number(n)) => drop(items.remove(&n)),
        (Value::Assoc(items), Key::Text(k)) => items.remove(&k),
        (Value::Str(_) | Value::Int(_), Key::Number(0)) => sh.vars.unset(name),
        _ => {}
    }
    Ok(0)
}
