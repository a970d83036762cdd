//! The environment's say: `ACTION_SERVER_<KEY>` in place of what the file has of that key.

use action_proto::input::shown_name;
use serde::Deserialize;

use super::{Raw, invalid};
use crate::{
    config::{ConfigError, values::Text},
    yaml,
};

impl Raw {
    /// Applies `ACTION_SERVER_<KEY>`: texts and paths as they are, the rest as the YAML of that key.
    pub(in crate::config) fn override_with(
        &mut self,
        environment: impl IntoIterator<Item = (String, String)>,
    ) -> Result<(), ConfigError> {
        for (variable, text) in environment {
            let Some(key) = variable.strip_prefix("ACTION_SERVER_") else {
                continue;
            };
            let set: fn(&mut Raw, &str) -> Result<(), String> = match key {
                "CONFIG" => continue,
                "LISTEN" => |raw, text| plain(&mut raw.listen, Text(text.to_owned())),
                "INSECURE_LISTEN" => |raw, text| scalar(&mut raw.insecure_listen, text),
                "JWT_SECRET" => |raw, text| {
                    raw.jwt_secret_path = None;
                    plain(&mut raw.jwt_secret, Text(text.to_owned()))
                },
                "JWT_SECRET_PATH" => |raw, text| {
                    raw.jwt_secret = None;
                    plain(&mut raw.jwt_secret_path, text.into())
                },
                "NODES_CONFIG_PATH" => |raw, text| plain(&mut raw.nodes_config_path, text.into()),
                "COMMAND_DIRECTORY_PATH" => {
                    |raw, text| plain(&mut raw.command_directory_path, text.into())
                }
                "WORKING_DIRECTORY_PATH" => {
                    |raw, text| plain(&mut raw.working_directory_path, text.into())
                }
                "JWT_KEY_DIRECTORY" => |raw, text| plain(&mut raw.jwt_key_directory, text.into()),
                "JWT_ISSUER" => |raw, text| plain(&mut raw.jwt_issuer, Text(text.to_owned())),
                "JWT_AUDIENCE" => |raw, text| plain(&mut raw.jwt_audience, Text(text.to_owned())),
                "JWT_LIFETIME" => |raw, text| scalar(&mut raw.jwt_lifetime, text),
                "POLICY_PATH" => |raw, text| plain(&mut raw.policy_path, text.into()),
                "REVOCATION_PATH" => |raw, text| plain(&mut raw.revocation_path, text.into()),
                "UMASK" => |raw, text| plain(&mut raw.umask, Text(text.to_owned())),
                "STATE_DIRECTORY" => |raw, text| plain(&mut raw.state_directory, text.into()),
                "AUDIT_PATH" => |raw, text| plain(&mut raw.audit_path, text.into()),
                "LOG_LEVEL" => |raw, text| plain(&mut raw.log_level, text.to_owned()),
                "LOG_FORMAT" => |raw, text| scalar(&mut raw.log_format, text),
                "JOB_THREADS" => |raw, text| scalar(&mut raw.job_threads, text),
                "DRAIN_TIMEOUT" => |raw, text| scalar(&mut raw.drain_timeout, text),
                "RUN_TIMEOUT" => |raw, text| scalar(&mut raw.run_timeout, text),
                "RETENTION" => |raw, text| whole(&mut raw.retention, text),
                "KILL_GRACE" => |raw, text| scalar(&mut raw.kill_grace, text),
                "VISIBLE_METADATA" => |raw, text| whole(&mut raw.visible_metadata, text),
                "SCRIPT_ENVIRONMENT" => |raw, text| whole(&mut raw.script_environment, text),
                "LIMITS" => |raw, text| whole(&mut raw.limits, text),
                "TLS" => |raw, text| scalar(&mut raw.tls, text),
                "METRICS_LISTEN" => {
                    |raw, text| plain(&mut raw.metrics_listen, Text(text.to_owned()))
                }
                "INSECURE_METRICS_LISTEN" => {
                    |raw, text| scalar(&mut raw.insecure_metrics_listen, text)
                }
                "TRACES" => |raw, text| scalar(&mut raw.traces, text),
                "ALLOW_UNSAFE_PERMISSIONS" => {
                    |raw, text| whole(&mut raw.allow_unsafe_permissions, text)
                }
                _ => {
                    return Err(invalid(format!(
                        "{} is set, and there is no such setting",
                        shown_name(&variable)
                    )));
                }
            };
            set(self, &text).map_err(|error| invalid(format!("{variable}: {error}")))?;
        }
        Ok(())
    }
}

/// A text or a path is taken as it is.
fn plain<T>(slot: &mut Option<T>, value: T) -> Result<(), String> {
    *slot = Some(value);
    Ok(())
}

fn read<T: for<'de> Deserialize<'de>>(text: &str) -> Result<T, String> {
    yaml::read(text).map_err(|(_, reason)| reason)
}

fn scalar<T: for<'de> Deserialize<'de>>(slot: &mut Option<T>, text: &str) -> Result<(), String> {
    *slot = Some(read(text)?);
    Ok(())
}

fn whole<T: for<'de> Deserialize<'de>>(slot: &mut T, text: &str) -> Result<(), String> {
    *slot = read(text)?;
    Ok(())
}
