//! The plugin `s3`. Credentials come from its fields only: those of the host's environment, files and machine are not looked
//! for.

use opendal::Operator;
use opendal::services::S3;

use super::fields::Fields;
use super::{Common, ConfigError, ObjectStore};
use crate::remote::Traits;
use crate::transport;

pub(super) fn read(fields: &mut Fields, common: Common) -> Result<ObjectStore, ConfigError> {
    let bucket = fields.required("bucket")?;
    let prefix = fields.folder("prefix")?;
    let endpoint = fields.endpoint("endpoint")?;
    let region = match (fields.text("region")?, &endpoint) {
        (Some(region), _) => region,
        // What servers other than Amazon's take for any.
        (None, Some(_)) => "us-east-1".to_owned(),
        (None, None) => return Err(Fields::refuse("region", "is needed without `endpoint`")),
    };
    let session_token = fields.text("sessionToken")?;
    let credentials = fields.pair("accessKeyId", "secretAccessKey")?;
    let traits = Traits {
        prefixes: true,
        conditional_writes: fields.flag("conditionalWrites", true)?,
        conditions_overlooked: false,
        listing_has_attributes: true,
        exclusive_directories: false,
        unmovable: &[],
    };
    let mut builder = S3::default()
        .bucket(&bucket)
        .root(&format!("/{prefix}"))
        .region(&region)
        .disable_config_load()
        .disable_ec2_metadata();
    if let Some(endpoint) = &endpoint {
        builder = builder.endpoint(endpoint);
    }
    match credentials {
        Some((id, secret)) => {
            builder = builder.access_key_id(&id).secret_access_key(&secret);
            if let Some(token) = session_token {
                builder = builder.session_token(&token);
            }
        }
        None if session_token.is_some() => {
            return Err(Fields::refuse("accessKeyId", "is needed with `sessionToken`"));
        }
        None => builder = builder.skip_signature(),
    }
    if fields.flag("virtualHostStyle", false)? {
        builder = builder.enable_virtual_host_style();
    }
    // The text of the error may have values in it.
    let operator =
        Operator::new(builder).map_err(|_| Fields::refuse("bucket", "cannot be used with these fields"))?;
    let operator = transport::install(operator)?;
    Ok(ObjectStore { id: "s3", source: format!("s3://{bucket}/{prefix}"), operator, traits, common })
}
