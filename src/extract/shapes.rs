//! Arguments that consist of several: lists, tuples, structs and variants.

use serde::{
    Deserializer,
    de::{DeserializeSeed, EnumAccess, IntoDeserializer, MapAccess, SeqAccess, VariantAccess, Visitor},
};

use super::{
    arguments::{ArgumentsError, Place, Value, located},
    usage::UsageProblem,
};

/// As many values as there are words.
pub(super) struct List<'a, 't>(pub(super) Value<'a, 't>);

impl<'de> SeqAccess<'de> for List<'_, '_> {
    type Error = ArgumentsError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ArgumentsError> {
        if self.0.is_missing() {
            return Ok(None);
        }
        let element = Value {
            arguments: self.0.arguments,
            name: self.0.name,
            place: Place::Inner,
        };
        seed.deserialize(element).map(Some)
    }
}

/// A fixed number of values without names.
pub(super) struct Row<'a, 't> {
    value: Value<'a, 't>,
    left: usize,
}

impl<'a, 't> Row<'a, 't> {
    pub(super) fn new(value: Value<'a, 't>, len: usize) -> Self {
        Self { value, left: len }
    }
}

impl<'de> SeqAccess<'de> for Row<'_, '_> {
    type Error = ArgumentsError;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, ArgumentsError> {
        let Some(left) = self.left.checked_sub(1) else {
            return Ok(None);
        };
        self.left = left;
        let place = self.value.inner_place(left == 0);
        let element = Value {
            arguments: self.value.arguments,
            name: self.value.name,
            place,
        };
        seed.deserialize(element).map(Some)
    }
}

/// Values with names, in the order of the struct. It ends where the words do, so that members may have defaults.
pub(super) struct Record<'a, 't> {
    value: Value<'a, 't>,
    fields: &'static [&'static str],
    current: Option<&'static str>,
}

impl<'a, 't> Record<'a, 't> {
    pub(super) fn new(value: Value<'a, 't>, fields: &'static [&'static str]) -> Self {
        Self {
            value,
            fields,
            current: None,
        }
    }
}

impl<'de> MapAccess<'de> for Record<'_, '_> {
    type Error = ArgumentsError;

    fn next_key_seed<K: DeserializeSeed<'de>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, ArgumentsError> {
        match self.fields.split_first() {
            Some((field, behind)) if !self.value.is_missing() => {
                self.fields = behind;
                self.current = Some(field);
                seed.deserialize((*field).into_deserializer()).map(Some)
            }
            _ => Ok(None),
        }
    }

    fn next_value_seed<V: DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, ArgumentsError> {
        let place = self.value.inner_place(self.fields.is_empty());
        let member = Value {
            arguments: self.value.arguments,
            name: self.current,
            place,
        };
        let value = seed.deserialize(member);
        value.map_err(|error| located(error, self.current, self.value.arguments.last.clone()))
    }
}

/// One of several words, with what belongs to it behind.
pub(super) struct Choice<'a, 't> {
    value: Value<'a, 't>,
    variants: &'static [&'static str],
}

impl<'a, 't> Choice<'a, 't> {
    pub(super) fn new(value: Value<'a, 't>, variants: &'static [&'static str]) -> Self {
        Self { value, variants }
    }
}

impl<'de, 'a, 't> EnumAccess<'de> for Choice<'a, 't> {
    type Error = ArgumentsError;
    type Variant = Value<'a, 't>;

    fn variant_seed<V: DeserializeSeed<'de>>(
        mut self,
        seed: V,
    ) -> Result<(V::Value, Value<'a, 't>), ArgumentsError> {
        let word = self.value.word()?;
        let known = self
            .variants
            .iter()
            .find(|variant| variant.to_lowercase() == word.to_lowercase());
        let Some(known) = known else {
            return Err(ArgumentsError::Usage(UsageProblem::Invalid {
                argument: self.value.name.map(str::to_owned),
                value: word.into_owned(),
                reason: format!("is not one of {}", self.variants.join(", ")),
            }));
        };
        let variant = seed.deserialize((*known).into_deserializer())?;
        if self.value.place == Place::Whole {
            self.value.place = Place::Last;
        }
        Ok((variant, self.value))
    }
}

impl<'de> VariantAccess<'de> for Value<'_, '_> {
    type Error = ArgumentsError;

    fn unit_variant(self) -> Result<(), ArgumentsError> {
        Ok(())
    }

    fn newtype_variant_seed<T: DeserializeSeed<'de>>(self, seed: T) -> Result<T::Value, ArgumentsError> {
        seed.deserialize(self)
    }

    fn tuple_variant<V: Visitor<'de>>(self, len: usize, visitor: V) -> Result<V::Value, ArgumentsError> {
        self.deserialize_tuple(len, visitor)
    }

    fn struct_variant<V: Visitor<'de>>(
        self,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, ArgumentsError> {
        self.deserialize_struct("", fields, visitor)
    }
}
