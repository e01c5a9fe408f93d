//! Every method of the Bot API, through the trait of the types crate.

use std::{fmt::Debug, path::PathBuf};

use async_trait::async_trait;
use frankenstein::AsyncTelegramApi;
use serde::{Serialize, de::DeserializeOwned};

use super::{
    error::ApiError,
    handle::{Api, encode},
    multipart::MultipartForm,
    request::RequestBody,
};

#[async_trait]
impl AsyncTelegramApi for Api {
    type Error = ApiError;

    async fn request<Params, Output>(&self, method: &str, params: Option<Params>) -> Result<Output, ApiError>
    where
        Params: Serialize + Debug + Send,
        Output: DeserializeOwned,
    {
        let body = encode_and_drop(method, params)?;
        let answer = self.exchange(method, body, None).await?;
        serde_json::from_slice(&answer.body).map_err(|source| self.undecodable(method, source))
    }

    async fn request_with_form_data<Params, Output>(
        &self,
        method: &str,
        params: Params,
        files: Vec<(&str, PathBuf)>,
    ) -> Result<Output, ApiError>
    where
        Params: Serialize + Debug + Send,
        Output: DeserializeOwned,
    {
        let body = encode_form(method, &params, &files)?;
        drop(params);
        let answer = self.exchange(method, body, None).await?;
        serde_json::from_slice(&answer.body).map_err(|source| self.undecodable(method, source))
    }
}

/// The parameters may not be shared between threads, so they must be gone before the first wait.
fn encode_and_drop<P: Serialize>(method: &str, params: Option<P>) -> Result<RequestBody, ApiError> {
    params.map_or(Ok(RequestBody::Empty), |params| encode(method, &params))
}

/// Writes parameters and files as a form.
pub(crate) fn encode_form<P: Serialize>(
    method: &str,
    params: &P,
    files: &[(&str, PathBuf)],
) -> Result<RequestBody, ApiError> {
    let params = serde_json::to_value(params).map_err(|source| ApiError::Encode {
        method: method.to_owned(),
        source,
    })?;
    Ok(RequestBody::Form(MultipartForm::from_params(params, files)))
}
