//! OCI image layouts (image-spec 1.1), each as one tar archive: an index, a manifest, a configuration, layers. Of several
//! images none is chosen; nothing is fetched.

mod digest;
mod read;
mod spec;
mod write;

pub(crate) use read::{is_layout, read};
pub(crate) use write::write;
