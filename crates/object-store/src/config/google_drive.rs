//! The plugin `google_drive`.

use opendal::Operator;
use opendal::services::Gdrive;

use super::fields::Fields;
use super::{Common, ConfigError, ObjectStore};
use crate::remote::Traits;
use crate::transport;

pub(super) fn read(fields: &mut Fields, common: Common) -> Result<ObjectStore, ConfigError> {
    let root = fields.folder("root")?;
    let mut builder = Gdrive::default().root(&format!("/{root}"));
    let client = fields.pair("clientId", "clientSecret")?;
    match (fields.text("accessToken")?, fields.text("refreshToken")?, client) {
        (Some(token), None, None) => builder = builder.access_token(&token),
        (None, Some(token), Some((id, secret))) => {
            builder = builder.refresh_token(&token).client_id(&id).client_secret(&secret);
        }
        _ => {
            let reason = "give either it alone, or `refreshToken`, `clientId` and `clientSecret`";
            return Err(Fields::refuse("accessToken", reason));
        }
    }
    let refuse = |_| Fields::refuse("accessToken", "cannot be used with these fields");
    let operator = transport::install(Operator::new(builder).map_err(refuse)?)?;
    let traits = Traits {
        prefixes: false,
        conditional_writes: false,
        conditions_overlooked: false,
        listing_has_attributes: true,
        exclusive_directories: false,
        unmovable: &[],
    };
    Ok(ObjectStore { id: "google_drive", source: format!("google_drive:/{root}"), operator, traits, common })
}
