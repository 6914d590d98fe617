//! Finds and reads the modules that a program imports.

use crate::compile::Modules;
use crate::json::parse;
use crate::syntax::Program;
use crate::value::Value;
use std::path::{Path, PathBuf};

/// Modules in directories.
pub(crate) struct Directories(pub(crate) Vec<String>);

impl Directories {
    fn find(&self, path: &str, search: Option<&str>, extension: &str) -> Result<PathBuf, String> {
        let home = std::env::var("HOME").unwrap_or_default();
        let own = search.map(str::to_owned);
        let default = ["~/.jq".to_owned()];
        let places = own.iter().chain(if self.0.is_empty() { default.iter() } else { self.0.iter() });
        for place in places {
            let place = match place.strip_prefix("~/") {
                Some(rest) => Path::new(&home).join(rest),
                None => PathBuf::from(place),
            };
            let last = path.rsplit('/').next().unwrap_or(path);
            for candidate in [format!("{path}.{extension}"), format!("{path}/{last}.{extension}")] {
                let file = place.join(candidate);
                if file.is_file() {
                    return Ok(file);
                }
            }
        }
        Err(format!("module not found: {path}\n"))
    }
}

fn read(file: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(file).map_err(|e| format!("{}: {}", file.display(), agentos_guest::strerror(&e)))
}

impl Modules for Directories {
    fn module(&mut self, path: &str, search: Option<&str>) -> Result<Program, String> {
        let file = self.find(path, search, "jq")?;
        let text = String::from_utf8_lossy(&read(&file)?).into_owned();
        crate::parse::parse(&text, true).map_err(|wrong| {
            wrong.first().map_or_else(String::new, |w| format!("{} in {}", w.message, file.display()))
        })
    }

    fn data(&mut self, path: &str, search: Option<&str>) -> Result<Value, String> {
        let file = self.find(path, search, "json")?;
        parse::all(&read(&file)?).map(Value::from).map_err(|e| format!("{}: {e}", file.display()))
    }
}
