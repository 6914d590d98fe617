//! The plugin `webdav`.

use opendal::Operator;
use opendal::services::Webdav;

use super::fields::Fields;
use super::{Common, ConfigError, ObjectStore};
use crate::remote::Traits;
use crate::transport;

pub(super) fn read(fields: &mut Fields, common: Common) -> Result<ObjectStore, ConfigError> {
    let endpoint = fields.endpoint("endpoint")?.ok_or_else(|| Fields::refuse("endpoint", "is needed"))?;
    let root = fields.folder("root")?;
    let mut builder = Webdav::default().endpoint(&endpoint).root(&format!("/{root}"));
    let login = fields.pair("username", "password")?;
    match (login, fields.text("token")?) {
        (Some(_), Some(_)) => return Err(Fields::refuse("token", "cannot be used with `username`")),
        (Some((username, password)), None) => builder = builder.username(&username).password(&password),
        (None, Some(token)) => builder = builder.token(&token),
        (None, None) => {}
    }
    let refuse = |_| Fields::refuse("endpoint", "cannot be used with these fields");
    let operator = transport::install(Operator::new(builder).map_err(refuse)?)?;
    // Servers differ in what they take for conditions of a write.
    let traits = Traits { prefixes: false, conditional_writes: false, listing_has_attributes: true };
    let source = if root.is_empty() { endpoint } else { format!("{endpoint}/{root}") };
    Ok(ObjectStore { id: "webdav", source, operator, traits, common })
}
