//! What handlers return: nothing, a result, or what the user is to be told.

mod responder;
mod reply;
mod answer;
mod edit;
mod keyboard;

pub use self::{answer::Answer, edit::Edit, keyboard::InlineKeyboard, reply::Reply, responder::Respond};
