//! A big upload needs little memory. In a test binary of its own, because memory belongs to the whole process.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]
#![cfg(target_os = "linux")]

use std::{
    fs::{self, File},
    io::{BufRead, BufReader, Read, Write},
    net::TcpListener,
    thread,
};

use actogram::api::{Api, ApiConfig, MultipartForm, Server, Token};

const FILE_LEN: u64 = 20_000_000;

/// Highest memory use of this process so far, in bytes.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[actix::test]
async fn a_file_of_twenty_megabytes_is_streamed_with_its_length() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("big.bin");
    File::create(&path).unwrap().set_len(FILE_LEN).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let server = thread::spawn(move || {
        let mut stream = BufReader::new(listener.accept().unwrap().0);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            stream.read_line(&mut head).unwrap();
        }
        let head = head.to_lowercase();
        let length = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "))
            .unwrap();
        let length: u64 = length.parse().unwrap();
        let read = std::io::copy(&mut (&mut stream).take(length), &mut std::io::sink()).unwrap();
        let answer = "HTTP/1.1 200 OK\r\ncontent-length: 25\r\n\r\n{\"ok\":true,\"result\":true}";
        stream.get_mut().write_all(answer.as_bytes()).unwrap();
        (length, read)
    });
    let token = Token::parse("123:secret").unwrap();
    let api = Api::start(ApiConfig::new(token).server(Server::parse(&url).unwrap()));
    let before = peak_memory();

    let form = MultipartForm::new().text("chat_id", "7").file("document", path);
    api.call_form("sendDocument", form, None).await.unwrap();

    let grown = peak_memory() - before;
    let (announced, read) = server.join().unwrap();
    assert_eq!(announced, read);
    assert!(
        announced > FILE_LEN && announced < FILE_LEN + 1_000,
        "{announced}"
    );
    assert!(grown < FILE_LEN / 4, "memory grew by {grown} bytes");
}
