//! What every update has: no decoding is needed for it.

use std::ops::Deref;

use super::{ExtractError, FromUpdate};
use crate::{BotHandle, Context, api::Api, update::Update};

impl FromUpdate for Context {
    async fn from_update(context: &Context) -> Result<Self, ExtractError> {
        Ok(context.clone())
    }
}

impl FromUpdate for Api {
    async fn from_update(context: &Context) -> Result<Self, ExtractError> {
        Ok(context.api().clone())
    }
}

/// Fails as [`Context::bot`].
impl FromUpdate for BotHandle {
    async fn from_update(context: &Context) -> Result<Self, ExtractError> {
        Ok(context.bot()?.clone())
    }
}

impl FromUpdate for Update {
    async fn from_update(context: &Context) -> Result<Self, ExtractError> {
        Ok(context.update().clone())
    }
}

/// The JSON text of the update as it arrived, shared and not copied. There for every update, also for one of a kind or
/// shape that the typed model does not know.
///
/// ```
/// use actogram::{Router, extract::Raw};
///
/// async fn keep(raw: Raw) {
///     println!("{} bytes: {}", raw.len(), &*raw);
/// }
/// # let _ = Router::new().raw(keep);
/// ```
#[derive(Debug, Clone)]
pub struct Raw(Update);

impl Deref for Raw {
    type Target = str;

    fn deref(&self) -> &str {
        self.0.raw()
    }
}

impl FromUpdate for Raw {
    async fn from_update(context: &Context) -> Result<Self, ExtractError> {
        Ok(Self(context.update().clone()))
    }
}
