//! Settings that are in order, and what is made of them.

use std::{fs::File, time::Duration};

use super::{
    door::{Door, Intake},
    error::WebhookError,
    monitor::WebhookMonitor,
    origin::SenderAddress,
    registration::{Registration, Target},
    route::WebhookRoute,
    secret::Secret,
    settings::Webhook,
};
use crate::{error::ConfigError, lane::LaneChoice, update::UpdateKind};

/// Settings without a mistake.
pub(crate) struct CheckedWebhook {
    secret: Secret,
    senders: Option<SenderAddress>,
    path: String,
    body_limit: usize,
    body_timeout: Duration,
    answer_within: Duration,
    register: Option<String>,
    target: Target,
}

impl Webhook {
    /// Returns the first setting that is missing or wrong.
    pub(crate) fn checked(self) -> Result<CheckedWebhook, ConfigError> {
        self.check()?;
        let Self {
            secret,
            senders,
            path,
            body_limit,
            body_timeout,
            answer_within,
            register,
            target,
            tls: _,
        } = self;
        Ok(CheckedWebhook {
            secret: secret?,
            senders: senders.transpose()?,
            path,
            body_limit,
            body_timeout,
            answer_within,
            register,
            target,
        })
    }
}

impl CheckedWebhook {
    pub(crate) fn answer_within(&self) -> Duration {
        self.answer_within
    }

    /// Looks whether the files that are needed later can be read.
    pub(crate) fn check_files(&self) -> Result<(), WebhookError> {
        match &self.target.certificate {
            Some(path) if self.register.is_some() => match File::open(path) {
                Ok(_) => Ok(()),
                Err(source) => Err(WebhookError::CertificateFile {
                    path: path.clone(),
                    source,
                }),
            },
            _ => Ok(()),
        }
    }

    /// Returns the route in front of an intake, and what is to be registered.
    pub(crate) fn open(
        self,
        intake: Intake,
        lanes: LaneChoice,
        allowed_updates: Option<Vec<UpdateKind>>,
        monitor: WebhookMonitor,
    ) -> (WebhookRoute, Option<Registration>) {
        let target = self.target;
        let registration = self.register.map(|url| Registration {
            url,
            target,
            secret: self.secret.clone(),
            allowed_updates,
            monitor: monitor.clone(),
        });
        let door = Door {
            path: self.path,
            secret: self.secret,
            senders: self.senders,
            body_limit: self.body_limit,
            body_timeout: self.body_timeout,
            lanes,
            intake,
            monitor,
        };
        (WebhookRoute::new(door), registration)
    }
}
