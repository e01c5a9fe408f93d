//! A big download needs little memory, into a file and as a stream. In a test binary of its own, because memory belongs
//! to the whole process.

#![allow(clippy::unwrap_used, reason = "the helpers of a test may fail it")]
#![cfg(target_os = "linux")]

use std::{
    fs,
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    thread,
};

use actogram::api::{Api, ApiConfig, Server, Token};
use frankenstein::types::File;

const PIECE: usize = 50_000;
const FILE_LEN: u64 = 20_000_000;

/// Highest memory use of this process so far, in bytes.
fn peak_memory() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse::<u64>().unwrap() * 1024
}

#[actix::test]
async fn a_file_of_twenty_megabytes_is_streamed() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            while stream.buffer().is_empty() || !stream.buffer().ends_with(b"\r\n\r\n") {
                stream.fill_buf().unwrap();
            }
            let head = format!("HTTP/1.1 200 OK\r\nconnection: close\r\ncontent-length: {FILE_LEN}\r\n\r\n");
            stream.get_mut().write_all(head.as_bytes()).unwrap();
            let piece = [7; PIECE];
            for _ in 0..FILE_LEN / PIECE as u64 {
                stream.get_mut().write_all(&piece).unwrap();
            }
        }
    });
    let token = Token::parse("123:secret").unwrap();
    let api = Api::start(ApiConfig::new(token).server(Server::parse(&url).unwrap()));
    let file = File::builder()
        .file_id("id")
        .file_unique_id("unique")
        .file_path("documents/big")
        .file_size(FILE_LEN)
        .build();
    let folder = tempfile::tempdir().unwrap();
    let target = folder.path().join("big.bin");
    let before = peak_memory();

    let len = api.download_to(&file, &target).await.unwrap();
    let mut stream = api.download_stream(&file).await.unwrap();
    let mut streamed = 0;
    while let Some(piece) = stream.next_piece().await.unwrap() {
        streamed += piece.len() as u64;
    }

    let grown = peak_memory() - before;
    assert_eq!((len, streamed), (FILE_LEN, FILE_LEN));
    assert_eq!(fs::metadata(&target).unwrap().len(), FILE_LEN);
    assert!(grown < FILE_LEN / 4, "memory grew by {grown} bytes");
}
