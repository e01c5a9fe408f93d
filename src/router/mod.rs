//! Choosing a handler for each update. See [`Router`].

mod routes;
mod command_route;
mod matching;
mod endpoint;
mod middleware;
mod interests;
#[cfg(test)]
mod routing_tests;
#[cfg(test)]
mod middleware_tests;

pub use self::{
    command_route::CommandRoute,
    endpoint::HandlerFn,
    interests::Interests,
    middleware::{Middleware, Next},
    routes::Router,
};
