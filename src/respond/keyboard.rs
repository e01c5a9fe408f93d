//! Buttons below a message.

use frankenstein::types::{InlineKeyboardButton, InlineKeyboardMarkup};

/// Buttons below a message, row by row. Everything else that buttons can do comes with [`push`](Self::push).
///
/// ```
/// use actogram::InlineKeyboard;
///
/// let keyboard = InlineKeyboard::new()
///     .button("Yes", "answer:yes")
///     .button("No", "answer:no")
///     .row()
///     .link("Why?", "https://example.org/why");
/// # let _ = keyboard;
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[must_use = "a keyboard is shown when a reply has it"]
pub struct InlineKeyboard {
    rows: Vec<Vec<InlineKeyboardButton>>,
    row_ended: bool,
}

impl InlineKeyboard {
    /// Returns a keyboard without buttons.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a button to the last row that sends a callback query with this data:
    /// [1 to 64 bytes](https://core.telegram.org/bots/api#inlinekeyboardbutton).
    pub fn button(self, text: impl Into<String>, data: impl Into<String>) -> Self {
        let button = InlineKeyboardButton::builder()
            .text(text.into())
            .callback_data(data.into());
        self.push(button.build())
    }

    /// Adds a button to the last row that opens an address.
    pub fn link(self, text: impl Into<String>, url: impl Into<String>) -> Self {
        let button = InlineKeyboardButton::builder().text(text.into()).url(url.into());
        self.push(button.build())
    }

    /// Adds any button of the Bot API to the last row.
    pub fn push(mut self, button: InlineKeyboardButton) -> Self {
        match self.rows.last_mut() {
            Some(row) if !self.row_ended => row.push(button),
            _ => self.rows.push(vec![button]),
        }
        self.row_ended = false;
        self
    }

    /// Ends the row: the next button begins another one. There are no empty rows.
    pub fn row(mut self) -> Self {
        self.row_ended = true;
        self
    }
}

impl From<InlineKeyboard> for InlineKeyboardMarkup {
    fn from(keyboard: InlineKeyboard) -> Self {
        Self::builder().inline_keyboard(keyboard.rows).build()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shape(keyboard: InlineKeyboard) -> Vec<usize> {
        let markup = InlineKeyboardMarkup::from(keyboard);
        markup.inline_keyboard.iter().map(Vec::len).collect()
    }

    #[test]
    fn buttons_stand_in_the_rows_they_were_put_in() {
        let keyboard = InlineKeyboard::new()
            .button("a", "1")
            .button("b", "2")
            .row()
            .link("c", "3");

        assert_eq!(shape(keyboard), [2, 1]);
    }

    #[test]
    fn there_are_no_empty_rows() {
        let keyboard = InlineKeyboard::new().row().row().button("a", "1").row();

        assert_eq!(shape(keyboard), [1]);
        assert!(shape(InlineKeyboard::new().row()).is_empty());
    }
}
