//! A form goes over the wire with exactly the parts that were put in, whatever their names and contents are, and with the
//! length that was announced.
//!
//! The bytes are parts separated by `0x1e`, at most [`PARTS`]. A part is a name, or a name and a file name, and a content,
//! separated by `0x1f`.

use actogram::{
    api::MultipartForm,
    fuzzing::{WrittenForm, write_form},
};

/// More parts only take longer: each is a hundred bytes on the wire, whatever it holds.
const PARTS: usize = 16;

/// A part as it goes in or comes out.
#[derive(Debug, Default, PartialEq, Eq)]
struct Part {
    name: String,
    file_name: Option<String>,
    content: Vec<u8>,
}

pub(crate) fn check(bytes: &[u8]) {
    let parts: Vec<Part> = bytes.splitn(PARTS, |byte| *byte == 0x1e).map(part).collect();
    let form = parts
        .iter()
        .fold(MultipartForm::new(), |form, part| match &part.file_name {
            Some(file_name) => form.bytes(&part.name, file_name, part.content.clone()),
            None => form.text(&part.name, String::from_utf8_lossy(&part.content)),
        });

    let written = write_form(&form)
        .expect("there is no file to fail")
        .expect("there is no file to wait for");

    assert_eq!(
        written.announced_len,
        written.body.len() as u64,
        "the announced length"
    );
    let escaped: Vec<Part> = parts.into_iter().map(Part::escaped).collect();
    assert_eq!(read(&written), Some(escaped));
}

fn part(bytes: &[u8]) -> Part {
    let mut pieces: Vec<&[u8]> = bytes.splitn(3, |byte| *byte == 0x1f).collect();
    let content = pieces.pop().unwrap_or_default();
    let mut names = pieces
        .into_iter()
        .map(|name| String::from_utf8_lossy(name).into_owned());
    let name = names.next().unwrap_or_default();
    let file_name = names.next();
    let content = match file_name {
        Some(_) => content.to_vec(),
        None => String::from_utf8_lossy(content).into_owned().into_bytes(),
    };
    Part {
        name,
        file_name,
        content,
    }
}

impl Part {
    /// How browsers write what would end a name.
    fn escaped(mut self) -> Self {
        for name in [Some(&mut self.name), self.file_name.as_mut()]
            .into_iter()
            .flatten()
        {
            let characters = name.chars().map(|character| match character {
                '"' => "%22".to_owned(),
                '\r' => "%0D".to_owned(),
                '\n' => "%0A".to_owned(),
                other => other.to_string(),
            });
            *name = characters.collect();
        }
        self
    }
}

/// Reads a form strictly: `None` when it is not exactly a sequence of parts.
fn read(form: &WrittenForm) -> Option<Vec<Part>> {
    let boundary = form.content_type.strip_prefix("multipart/form-data; boundary=")?;
    let delimiter = format!("\r\n--{boundary}");
    let mut rest = form.body.strip_prefix(delimiter.trim_start().as_bytes())?;
    let mut parts = Vec::new();
    loop {
        if rest == b"--\r\n" {
            return Some(parts);
        }
        let (head, behind) = cut(rest.strip_prefix(b"\r\n")?, b"\r\n\r\n")?;
        let (content, behind) = cut(behind, delimiter.as_bytes())?;
        rest = behind;
        let mut lines = std::str::from_utf8(head).ok()?.split("\r\n");
        let names = lines
            .next()?
            .strip_prefix("Content-Disposition: form-data; name=\"")?;
        let (name, behind) = names.split_once('"')?;
        let file_name = match behind {
            "" => None,
            _ => Some(behind.strip_prefix("; filename=\"")?.strip_suffix('"')?),
        };
        let kind = file_name.map(|_| "Content-Type: application/octet-stream");
        if file_name.is_some_and(|name| name.contains('"')) || lines.next() != kind || lines.next().is_some()
        {
            return None;
        }
        parts.push(Part {
            name: name.to_owned(),
            file_name: file_name.map(str::to_owned),
            content: content.to_vec(),
        });
    }
}

fn cut<'a>(bytes: &'a [u8], separator: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut windows = bytes.windows(separator.len());
    // The first byte alone rules nearly all of them out, without a call.
    let at = windows.position(|window| window[0] == separator[0] && window == separator)?;
    Some((&bytes[..at], &bytes[at + separator.len()..]))
}
