//! Arguments of types that know no serde.

use std::{
    fmt::{self, Display},
    str::FromStr,
};

use serde::{
    Deserialize, Deserializer,
    de::{self, Visitor},
};

/// An argument that is read with [`FromStr`], for types that know no serde. It takes one word.
///
/// ```
/// use std::net::IpAddr;
///
/// use actogram::{
///     Router,
///     extract::{Command, Parsed},
/// };
///
/// async fn ping(Command(Parsed(address)): Command<Parsed<IpAddr>>) -> String {
///     format!("pinging {address} …")
/// }
/// # let _ = Router::new().command("ping", ping);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Parsed<T>(pub T);

impl<'de, T> Deserialize<'de> for Parsed<T>
where
    T: FromStr,
    T::Err: Display,
{
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Word;

        impl Visitor<'_> for Word {
            type Value = String;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a word")
            }

            fn visit_str<E: de::Error>(self, word: &str) -> Result<String, E> {
                Ok(word.to_owned())
            }
        }

        let word = deserializer.deserialize_identifier(Word)?;
        word.parse().map(Self).map_err(de::Error::custom)
    }
}
