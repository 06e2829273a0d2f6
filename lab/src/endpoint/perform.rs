//! What a call does: who asks is checked, then its API reads the request and changes or asks its store.

use hyper::Method;
use hyper::http::request::Parts;

use super::body::{self, Encoding};
use super::call::{Api, Call};
use super::error::AwsError;
use super::faults::{Kind, Plan};
use super::service::{Buffers, Service, lock};
use super::signature::{Authorization, Signed};
use super::throttle::Throttle;
use crate::logs::{self, Batch, wire};
use crate::metrics;

/// What an operation did, for the journal.
#[derive(Debug, Default)]
pub(super) struct Effect {
    /// Log events or metric data that came.
    pub(super) items: usize,
    /// Those that were taken.
    pub(super) taken: usize,
    /// Of a batch of log events.
    pub(super) batch_bytes: usize,
}

/// When and where a request is performed.
struct Moment<'m> {
    region: &'m str,
    now_us: i64,
    /// What was taken later is not shown yet.
    visible_us: i64,
}

impl Service {
    /// Checks the request and does what it asks.
    pub(super) fn perform(
        &self,
        call: &Call,
        head: &Parts,
        buffers: &mut Buffers,
        plan: &Plan,
        effect: &mut Effect,
    ) -> Result<Vec<u8>, AwsError> {
        let now_us = self.now_us();
        let region = self.authorize(call.api, head, &buffers.body, now_us)?;
        if head.method != Method::POST {
            return Err(logs::unknown(&call.operation));
        }
        if let Api::Metrics(_) = call.api {
            metrics::check_size(buffers.body.len())?;
        }
        let body = match body::encoding(&head.headers)? {
            Encoding::Plain => buffers.body.as_slice(),
            Encoding::Gzip => {
                body::inflate(&buffers.body, &mut buffers.inflated)?;
                buffers.inflated.as_slice()
            }
        };
        let visible_after_us = i64::try_from(self.settings.visible_after.as_micros());
        let moment = Moment {
            region: &region,
            now_us,
            visible_us: now_us.saturating_sub(visible_after_us.unwrap_or(i64::MAX)),
        };
        match call.api {
            Api::Logs if call.operation == "PutLogEvents" => {
                self.put_events(body, &mut buffers.batch, &moment, plan, effect)
            }
            Api::Logs => {
                let context = logs::Context {
                    region: moment.region,
                    now_us,
                    visible_us: moment.visible_us,
                };
                let mut state = self.state();
                let region = state.logs(moment.region, &self.settings);
                if call.operation == "CreateLogStream" {
                    admit(region.create_stream.as_mut(), now_us)?;
                }
                logs::answer(&call.operation, body, &mut region.store, &context)
            }
            Api::Metrics(protocol) => {
                metrics::check_size(body.len())?;
                let ask = protocol.read(body)?;
                let answer = if call.operation == "PutMetricData" {
                    self.put_data(&ask, &moment, plan, effect)?;
                    None
                } else {
                    let state = &mut *self.state();
                    // Nothing is put, so nothing has to be there to be asked.
                    let nothing = metrics::Store::default();
                    let context = metrics::Context {
                        store: state
                            .metrics
                            .get(moment.region)
                            .map_or(&nothing, |region| &region.store),
                        now_us,
                        visible_us: moment.visible_us,
                    };
                    metrics::answer(&call.operation, &ask, &context, &mut state.dashboards)?
                };
                Ok(protocol.write(&call.operation, answer))
            }
        }
    }

    /// PutLogEvents: the one that must be fast is read before the lock is taken.
    fn put_events(
        &self,
        body: &[u8],
        batch: &mut Batch,
        moment: &Moment<'_>,
        plan: &Plan,
        effect: &mut Effect,
    ) -> Result<Vec<u8>, AwsError> {
        batch.clear();
        let request = wire::put_log_events(body, batch)?;
        if let Some(Kind::TakeFirst { events, .. }) = plan.fault {
            batch.truncate(events);
        }
        let mut state = self.state();
        let region = state.logs(moment.region, &self.settings);
        admit(region.put.as_mut(), moment.now_us)?;
        let (group, stream) = (&request.log_group_name, &request.log_stream_name);
        let put = region.store.put(group, stream, batch, moment.now_us)?;
        *effect = Effect {
            items: batch.len(),
            taken: put.taken,
            batch_bytes: batch.bytes(),
        };
        Ok(logs::put_answer(&put))
    }

    /// PutMetricData: all of it is taken, or nothing.
    fn put_data(
        &self,
        ask: &serde_json::Value,
        moment: &Moment<'_>,
        plan: &Plan,
        effect: &mut Effect,
    ) -> Result<(), AwsError> {
        let mut state = self.state();
        let region = state.metrics(moment.region, &self.settings);
        admit(region.put.as_mut(), moment.now_us)?;
        let mut put = metrics::read_put(ask, moment.now_us)?;
        effect.items = put.data.len();
        if let Some(Kind::TakeFirst { events, .. }) = plan.fault {
            put.data.truncate(events);
        }
        effect.taken = put.data.len();
        region.store.put(put, moment.now_us);
        Ok(())
    }

    /// Who asks, and for which region.
    fn authorize(
        &self,
        api: Api,
        head: &Parts,
        body: &[u8],
        now_us: i64,
    ) -> Result<String, AwsError> {
        let read = Authorization::read(&head.headers, api.signing_name());
        let Some(known) = lock(&self.credentials).clone() else {
            let region = read.map(|read| read.region.to_owned());
            return Ok(region.unwrap_or_else(|_| self.settings.region.clone()));
        };
        let authorization = read?;
        if authorization.access_key != known.access_key {
            return Err(AwsError::client(
                "UnrecognizedClientException",
                "The security token included in the request is invalid.",
            ));
        }
        let signed = Signed {
            method: head.method.as_str(),
            path: head.uri.path(),
            query: head.uri.query().unwrap_or_default(),
            headers: &head.headers,
            body,
        };
        authorization.verify(&signed, &known.secret_key, now_us.div_euclid(1_000_000))?;
        Ok(authorization.region.to_owned())
    }
}

fn admit(throttle: Option<&mut Throttle>, now_us: i64) -> Result<(), AwsError> {
    if throttle.is_none_or(|throttle| throttle.lets(now_us)) {
        Ok(())
    } else {
        Err(AwsError::throttled())
    }
}
