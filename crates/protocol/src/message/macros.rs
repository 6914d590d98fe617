//! The macro that ties call structs, their method names and replies together into one enum per direction.
//! It adds no behaviour beyond decoding by name.

macro_rules! calls {
    ($(#[$meta:meta])* pub enum $Enum:ident { $($Name:ident = $method:literal -> $Reply:ty),* $(,)? }) => {
        $(#[$meta])*
        #[derive(Clone, Debug)]
        #[non_exhaustive]
        // One value at a time lives on the stack of the reader; a box for each would cost more than the move.
        #[allow(clippy::large_enum_variant)]
        pub enum $Enum {
            $(
                #[doc = concat!("Method `", $method, "`.")]
                $Name($Name),
            )*
        }

        impl $Enum {
            /// Every method name, in order.
            pub const METHODS: &'static [&'static str] = &[$($method),*];

            /// The method name.
            #[must_use]
            pub const fn method(&self) -> &'static str {
                match self { $($Enum::$Name(_) => $method,)* }
            }

            /// Reads name and parameters.
            ///
            /// # Errors
            /// [`DecodeError::Unknown`] for a method of a later version, else [`DecodeError::Malformed`].
            pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
                decode_named(payload, |name, body| match name {
                    $($method => Some(serde::Deserialize::deserialize(body).map($Enum::$Name)),)*
                    _ => None,
                })
            }
        }

        $(
            impl Call for $Name {
                const METHOD: &'static str = $method;
                type Reply = $Reply;
            }

            impl From<$Name> for $Enum {
                fn from(call: $Name) -> Self {
                    $Enum::$Name(call)
                }
            }
        )*
    };
}

pub(super) use calls;
