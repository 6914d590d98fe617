//! The plugin `webdav`.

use opendal::raw::{format_authorization_by_basic, format_authorization_by_bearer};

use super::fields::Fields;
use super::{Common, ConfigError, ObjectStore};
use crate::remote::Traits;
use crate::{dav, transport};

/// What ends a path in an address, or is left out of it. WsgiDAV unescapes the address of a target before it takes it apart, so
/// that nothing moves to where one of them is, nor below.
const SEPARATORS: [char; 5] = ['?', ';', '\t', '\n', '\r'];

pub(super) fn read(fields: &mut Fields, common: Common) -> Result<ObjectStore, ConfigError> {
    let endpoint = fields.endpoint("endpoint")?.ok_or_else(|| Fields::refuse("endpoint", "is needed"))?;
    let root = fields.folder("root")?;
    let login = fields.pair("username", "password")?;
    let authorization = match (login, fields.text("token")?) {
        (Some(_), Some(_)) => return Err(Fields::refuse("token", "cannot be used with `username`")),
        (Some((username, _)), None) if username.contains(':') => {
            return Err(Fields::refuse("username", "must not have a `:`, which ends it in a login"));
        }
        (Some((username, password)), None) => Some(format_authorization_by_basic(&username, &password)),
        (None, Some(token)) => Some(format_authorization_by_bearer(&token)),
        (None, None) => None,
    };
    let traits = Traits {
        prefixes: false,
        conditional_writes: fields.flag("conditionalWrites", true)?,
        conditions_overlooked: true,
        listing_has_attributes: true,
        exclusive_directories: true,
        unmovable: if root.contains(SEPARATORS) { &['/'] } else { &SEPARATORS },
    };
    // The text of the errors may have values in it.
    let authorization =
        authorization.transpose().map_err(|_| Fields::refuse("token", "cannot be a header of HTTP"))?;
    let operator = dav::operator(&endpoint, &root, authorization.as_deref())
        .map_err(|_| Fields::refuse("endpoint", "cannot be used with these fields"))?;
    let operator = transport::install(operator)?;
    let source = if root.is_empty() { endpoint } else { format!("{endpoint}/{root}") };
    Ok(ObjectStore { id: "webdav", source, operator, traits, common })
}
