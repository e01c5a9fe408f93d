//! Arguments of commands as values: a serde format whose text is words.

use std::{fmt::Display, str::FromStr};

use serde::{
    Deserializer,
    de::{self, DeserializeOwned, Visitor},
    forward_to_deserialize_any,
};

use super::{
    shapes::{Choice, List, Record, Row},
    usage::UsageProblem,
    words::Words,
};

/// Why arguments have no value of the wanted type.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ArgumentsError {
    /// Whoever wrote the command can do better.
    #[error(transparent)]
    Usage(UsageProblem),
    /// A type refused a value in its own words; where it stood is still to be told.
    #[error("{0}")]
    Refused(String),
    /// No text of arguments can be a value of this type.
    #[error("arguments of a command cannot be {0}; use a struct, a tuple, a list, or a simple type")]
    Unsupported(&'static str),
}

impl de::Error for ArgumentsError {
    fn custom<T: Display>(message: T) -> Self {
        Self::Refused(message.to_string())
    }

    fn missing_field(field: &'static str) -> Self {
        missing(Some(field))
    }
}

fn missing(name: Option<&'static str>) -> ArgumentsError {
    ArgumentsError::Usage(UsageProblem::Missing {
        argument: name.map(str::to_owned),
    })
}

/// Reads the arguments of a command. Fails with the problem, and with the names of the arguments as far as they have any.
pub(crate) fn read<T: DeserializeOwned>(text: &str) -> Result<T, (ArgumentsError, String)> {
    let mut arguments = Arguments {
        words: Words::new(text),
        shape: String::new(),
        last: String::new(),
    };
    let value = T::deserialize(Value {
        arguments: &mut arguments,
        name: None,
        place: Place::Whole,
    });
    let extra = arguments.words.rest();
    match value {
        Ok(_) if !extra.is_empty() => {
            let extra = extra.to_owned();
            Err((
                ArgumentsError::Usage(UsageProblem::TooMany { extra }),
                arguments.shape,
            ))
        }
        Ok(value) => Ok(value),
        Err(error) => Err((located(error, None, arguments.last), arguments.shape)),
    }
}

pub(super) struct Arguments<'t> {
    pub(super) words: Words<'t>,
    /// The names of the arguments, once the type has told them.
    shape: String,
    /// What was read last, should its type refuse it.
    pub(super) last: String,
}

/// Where a value stands: texts at the end take the rest.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Whole,
    Last,
    Inner,
}

/// One value that is to be read from the next words.
pub(super) struct Value<'a, 't> {
    pub(super) arguments: &'a mut Arguments<'t>,
    pub(super) name: Option<&'static str>,
    pub(super) place: Place,
}

impl<'t> Value<'_, 't> {
    pub(super) fn word(&mut self) -> Result<std::borrow::Cow<'t, str>, ArgumentsError> {
        let word = self.arguments.words.next().ok_or_else(|| missing(self.name))?;
        self.arguments.last.replace_range(.., &word);
        Ok(word)
    }

    /// Reads a word as what has a text form, or says what it is not.
    fn parse<T: FromStr>(&mut self, expected: impl FnOnce() -> String) -> Result<T, ArgumentsError> {
        let word = self.word()?;
        word.parse().map_err(|_| {
            ArgumentsError::Usage(UsageProblem::Invalid {
                argument: self.name.map(str::to_owned),
                value: word.into_owned(),
                reason: format!("is not {}", expected()),
            })
        })
    }

    /// Reads a text: a word, or everything that is left when nothing comes behind it.
    fn text(&mut self) -> Result<String, ArgumentsError> {
        let everything = self.arguments.words.rest();
        if self.place != Place::Whole {
            let word = self.word()?;
            if self.place == Place::Inner || self.is_missing() {
                return Ok(word.into_owned());
            }
        }
        self.arguments.words.take_rest();
        self.arguments.last.replace_range(.., everything);
        Ok(everything.to_owned())
    }

    pub(super) fn is_missing(&self) -> bool {
        self.arguments.words.rest().is_empty()
    }

    pub(super) fn inner_place(&self, last: bool) -> Place {
        if last && self.place != Place::Inner {
            Place::Last
        } else {
            Place::Inner
        }
    }

    fn remember_shape(&mut self, names: &[&str], before: &str, between: &str, behind: &str) {
        if self.place == Place::Whole {
            self.arguments.shape = format!("{before}{}{behind}", names.join(between));
        }
    }
}

macro_rules! whole_numbers {
    ($($deserialize:ident $visit:ident $number:ident)+) => {
        $(
            fn $deserialize<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ArgumentsError> {
                let number = self.parse(|| {
                    if $number::BITS < 64 {
                        format!("a whole number from {} to {}", $number::MIN, $number::MAX)
                    } else if $number::MIN == 0 {
                        "a whole number from 0 on".to_owned()
                    } else {
                        "a whole number".to_owned()
                    }
                })?;
                visitor.$visit(number)
            }
        )+
    };
}

impl<'de> Deserializer<'de> for Value<'_, '_> {
    type Error = ArgumentsError;

    whole_numbers! {
        deserialize_i8 visit_i8 i8
        deserialize_i16 visit_i16 i16
        deserialize_i32 visit_i32 i32
        deserialize_i64 visit_i64 i64
        deserialize_i128 visit_i128 i128
        deserialize_u8 visit_u8 u8
        deserialize_u16 visit_u16 u16
        deserialize_u32 visit_u32 u32
        deserialize_u64 visit_u64 u64
        deserialize_u128 visit_u128 u128
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentsError> {
        self.deserialize_string(visitor)
    }

    fn deserialize_f32<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ArgumentsError> {
        visitor.visit_f32(self.parse(|| "a number".to_owned())?)
    }

    fn deserialize_f64<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ArgumentsError> {
        visitor.visit_f64(self.parse(|| "a number".to_owned())?)
    }

    fn deserialize_char<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ArgumentsError> {
        visitor.visit_char(self.parse(|| "a single character".to_owned())?)
    }

    fn deserialize_bool<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ArgumentsError> {
        let YesOrNo(value) = self.parse(|| "yes or no".to_owned())?;
        visitor.visit_bool(value)
    }

    fn deserialize_string<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ArgumentsError> {
        visitor.visit_string(self.text()?)
    }

    fn deserialize_str<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentsError> {
        self.deserialize_string(visitor)
    }

    /// One word wherever it stands; see [`Parsed`].
    fn deserialize_identifier<V: Visitor<'de>>(mut self, visitor: V) -> Result<V::Value, ArgumentsError> {
        visitor.visit_str(&self.word()?)
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentsError> {
        if self.is_missing() {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_unit<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentsError> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ArgumentsError> {
        visitor.visit_unit()
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, ArgumentsError> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentsError> {
        visitor.visit_seq(List(self))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, ArgumentsError> {
        visitor.visit_seq(Row::new(self, len))
    }

    fn deserialize_tuple_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, ArgumentsError> {
        self.deserialize_tuple(len, visitor)
    }

    fn deserialize_struct<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ArgumentsError> {
        self.remember_shape(fields, "<", "> <", ">");
        visitor.visit_map(Record::new(self, fields))
    }

    fn deserialize_enum<V: Visitor<'de>>(
        mut self,
        _: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ArgumentsError> {
        self.remember_shape(variants, "", "|", "");
        visitor.visit_enum(Choice::new(self, variants))
    }

    fn deserialize_map<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ArgumentsError> {
        Err(ArgumentsError::Unsupported(
            "a map, nor a struct with flattened members",
        ))
    }

    fn deserialize_bytes<V: Visitor<'de>>(self, _: V) -> Result<V::Value, ArgumentsError> {
        Err(ArgumentsError::Unsupported("bytes"))
    }

    fn deserialize_byte_buf<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, ArgumentsError> {
        self.deserialize_bytes(visitor)
    }

    forward_to_deserialize_any! { ignored_any }
}

/// Says at which argument a type refused a value.
pub(super) fn located(error: ArgumentsError, name: Option<&'static str>, value: String) -> ArgumentsError {
    match error {
        ArgumentsError::Refused(reason) => ArgumentsError::Usage(UsageProblem::Invalid {
            argument: name.map(str::to_owned),
            value,
            reason: format!("does not fit: {reason}"),
        }),
        error => error,
    }
}

struct YesOrNo(bool);

impl FromStr for YesOrNo {
    type Err = ();

    fn from_str(word: &str) -> Result<Self, ()> {
        match word.to_lowercase().as_str() {
            "yes" | "true" | "on" | "1" => Ok(Self(true)),
            "no" | "false" | "off" | "0" => Ok(Self(false)),
            _ => Err(()),
        }
    }
}
