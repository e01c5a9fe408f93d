//! Shared state, by type.

use std::{
    any::{Any, TypeId, type_name},
    collections::HashMap,
    fmt,
    ops::Deref,
    sync::Arc,
};

use super::{ExtractError, FromUpdate};
use crate::{Context, handler::HandlerError};

/// Shared state that [`Router::app_data`](crate::Router::app_data) holds, as an argument of handlers.
///
/// Cloning shares it. Every worker builds a router of its own, so make the state outside of the factory and clone it
/// inside, unless each worker is to have its own:
///
/// ```no_run
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use actogram::{Bot, Router, extract::Data};
///
/// # async fn run() -> Result<(), actogram::Error> {
/// let visits = Data::new(AtomicU64::new(0));
/// Bot::from_env()
///     .handlers(move || Router::new().app_data(visits.clone()).command("visits", count))
///     .run()
///     .await?;
/// # Ok(())
/// # }
///
/// async fn count(visits: Data<AtomicU64>) -> String {
///     format!("visit {}", visits.fetch_add(1, Ordering::Relaxed) + 1)
/// }
/// ```
///
/// `T` is shared between threads. `Data::from(arc)` also holds what has no size, such as `Data<dyn Store>`. State that
/// cannot be shared is captured by a closure instead.
///
/// # Errors
///
/// As an extractor it fails when no router around the handler has such state: [`HandlerError::give_up`], which names the
/// type. A wrong type is the usual reason: `Data<T>` is found for exactly the `T` it was made with.
pub struct Data<T: ?Sized>(Arc<T>);

impl<T> Data<T> {
    /// Returns shared state.
    pub fn new(value: T) -> Self {
        Self(Arc::new(value))
    }
}

impl<T: ?Sized> Data<T> {
    /// Returns the state as an [`Arc`].
    pub fn into_inner(self) -> Arc<T> {
        self.0
    }
}

impl<T: ?Sized> From<Arc<T>> for Data<T> {
    fn from(value: Arc<T>) -> Self {
        Self(value)
    }
}

impl<T: ?Sized> Clone for Data<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T: ?Sized> Deref for Data<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

impl<T: ?Sized + fmt::Debug> fmt::Debug for Data<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Data").field(&&*self.0).finish()
    }
}

/// No router around the handler holds this state.
#[derive(Debug, thiserror::Error)]
#[error(
    "there is no Data<{type_name}>; add it with `.app_data(Data::new(..))` to a router around the handler"
)]
struct NoData {
    type_name: &'static str,
}

impl<T: ?Sized + Send + Sync + 'static> FromUpdate for Data<T> {
    async fn from_update(context: &Context) -> Result<Self, ExtractError> {
        context.data().ok_or_else(|| {
            HandlerError::give_up(NoData {
                type_name: type_name::<T>(),
            })
            .into()
        })
    }
}

/// State of several types, one value each.
#[derive(Clone, Default)]
pub(crate) struct DataMap(HashMap<TypeId, Arc<dyn Any + Send + Sync>>);

impl DataMap {
    pub(crate) fn insert<T: ?Sized + Send + Sync + 'static>(&mut self, data: Data<T>) {
        self.0.insert(TypeId::of::<Data<T>>(), Arc::new(data));
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn find<T: ?Sized + Send + Sync + 'static>(&self) -> Option<Data<T>> {
        self.0.get(&TypeId::of::<Data<T>>())?.downcast_ref().cloned()
    }
}

/// The state of the routers around a handler, innermost first.
#[derive(Clone, Default)]
pub(crate) struct Layers(Option<Arc<Layer>>);

struct Layer {
    data: Arc<DataMap>,
    outer: Layers,
}

impl Layers {
    /// Returns these layers with another one inside.
    pub(crate) fn with_layer(&self, data: &Arc<DataMap>) -> Self {
        if data.is_empty() {
            return self.clone();
        }
        Self(Some(Arc::new(Layer {
            data: Arc::clone(data),
            outer: self.clone(),
        })))
    }

    pub(crate) fn with<T: ?Sized + Send + Sync + 'static>(&self, data: Data<T>) -> Self {
        let mut map = DataMap::default();
        map.insert(data);
        self.with_layer(&Arc::new(map))
    }

    pub(crate) fn find<T: ?Sized + Send + Sync + 'static>(&self) -> Option<Data<T>> {
        let mut layers = self;
        while let Some(layer) = &layers.0 {
            if let Some(data) = layer.data.find() {
                return Some(data);
            }
            layers = &layer.outer;
        }
        None
    }
}
