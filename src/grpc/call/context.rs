//! The context of one call.

use std::{
    net::IpAddr,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError},
};

use http::{Extensions, HeaderMap, HeaderValue};
use tonic::{Code, Status};
use tracing::Span;

use super::{
    event,
    record::{Notes, Record},
};
use crate::{
    access::{Authenticated, Authenticator, Caller},
    admission::ResultClass,
    audit::{AuditUnavailable, Event},
    grpc::{
        edge::EdgeParts,
        methods::{Audited, MethodInfo},
        status::CallError,
    },
    model::{AuthenticationMethod, Peer},
    spans::{self, CallSpan},
};

/// A call, from its headers to its audit event.
#[derive(Debug)]
pub(in crate::grpc) struct CallContext {
    pub(super) method: &'static MethodInfo,
    pub(super) request_id: HeaderValue,
    pub(super) peer: Option<Peer>,
    /// Whether the call may leave an audit event.
    audited: bool,
    parts: Arc<EdgeParts>,
    trace: Option<CallSpan>,
    log_span: OnceLock<Span>,
    record: Mutex<Record>,
}

impl CallContext {
    /// Begins a call.
    pub(in crate::grpc) fn new(
        method: &'static MethodInfo,
        request_id: HeaderValue,
        peer: Option<Peer>,
        trace: Option<CallSpan>,
        parts: Arc<EdgeParts>,
    ) -> Self {
        let audited = parts.audit.is_on() && method.audited != Audited::Never;
        let (log_span, record) = (OnceLock::new(), Mutex::default());
        Self { method, request_id, peer, audited, parts, trace, log_span, record }
    }

    /// Returns the context that the edge has put into the request's extensions.
    ///
    /// # Errors
    /// INTERNAL when the request did not pass through the edge: it is not served.
    pub(in crate::grpc) fn of(extensions: &Extensions) -> Result<Arc<Self>, Status> {
        extensions
            .get::<Arc<Self>>()
            .map(Arc::clone)
            .ok_or_else(|| CallError::Lost.into_status_outside_calls())
    }

    /// Authenticates the caller and acquires a permit for the call. Every method that needs a credential begins with this.
    pub(in crate::grpc) async fn caller(
        &self,
        authenticator: &Authenticator,
        headers: &HeaderMap,
    ) -> Result<Caller, CallError> {
        let step = spans::step("authenticate");
        let authenticated = authenticator.authenticate(headers, self.peer.as_ref()).await?;
        drop(step);
        let _step = spans::step("admit");
        let admission = &self.parts.admission;
        let traffic = admission.traffic(authenticated.client_id());
        self.record().caller = Some((authenticated.clone(), Arc::clone(&traffic)));
        // In the audit mode `required`, a call that must leave an event is rejected while the audit log cannot be written.
        if self.method.audited == Audited::Always && self.parts.audit.is_blocked() {
            return Err(AuditUnavailable.into());
        }
        let caller = authenticated.admit(admission, &traffic, self.method.class).await?;
        self.record().admitted = true;
        Ok(caller)
    }

    /// Acquires a permit for the next item of a stream, and checks the caller's credential again. An assertion is valid once only: for its
    /// client, checks that assertions are still allowed.
    pub(in crate::grpc) async fn readmit(
        &self,
        authenticator: &Authenticator,
        before: &Authenticated,
        headers: &HeaderMap,
    ) -> Result<Caller, CallError> {
        let authenticated = match before.method() {
            AuthenticationMethod::PrivateKeyJwt => authenticator.again(before)?,
            _ => authenticator.authenticate(headers, self.peer.as_ref()).await?,
        };
        let admission = &self.parts.admission;
        let traffic = admission.traffic(authenticated.client_id());
        let admitted = authenticated.admit(admission, &traffic, self.method.class).await;
        if admitted.is_err() {
            traffic.called(ResultClass::Limited);
        }
        Ok(admitted?)
    }

    /// Writes the audit event of a stream that has ended with `code` after its call was answered, if there is one.
    pub(in crate::grpc) fn stream_ended(&self, code: Code) {
        if self.audited
            && let Some(event) = event::answered(self, &mut self.record(), code)
        {
            self.parts.audit.note(event);
        }
    }

    /// The caller's address, if the transport knows it.
    pub(in crate::grpc) fn address(&self) -> Option<IpAddr> {
        self.peer.as_ref().map(|peer| peer.address)
    }

    /// The method's entry in the table of methods.
    pub(in crate::grpc) const fn method(&self) -> &'static MethodInfo {
        self.method
    }

    /// The id of the call in the log and in the response.
    pub(in crate::grpc) const fn request_id(&self) -> &HeaderValue {
        &self.request_id
    }

    /// The span of the call's log lines, with the request id. It is created with the first log line.
    pub(in crate::grpc) fn log_span(&self) -> &Span {
        // At ERROR, so that no level filter drops the span: every line carries the request id.
        self.log_span.get_or_init(|| {
            let request_id = self.request_id.to_str().unwrap_or_default();
            let trace_id = self.trace.as_ref().map(CallSpan::trace_id);
            tracing::error_span!("call", method = self.method.path, request_id, trace_id)
        })
    }

    /// The call's trace span, if the call is sampled.
    pub(in crate::grpc) const fn trace(&self) -> Option<&CallSpan> {
        self.trace.as_ref()
    }

    /// Whether the caller is authenticated.
    pub(in crate::grpc) fn has_caller(&self) -> bool {
        self.record().caller.is_some()
    }

    /// Converts the result of a method to tonic's.
    pub(in crate::grpc) fn respond<T>(
        &self,
        result: Result<T, CallError>,
    ) -> Result<tonic::Response<T>, Status> {
        result.map(tonic::Response::new).map_err(|error| error.into_status(self))
    }

    pub(super) fn record(&self) -> MutexGuard<'_, Record> {
        // No update of a record can panic halfway: the record behind a poisoned lock is valid.
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds to the notes, if the call may leave an audit event.
    pub(super) fn note(&self, note: impl FnOnce(&mut Notes)) {
        if self.audited {
            note(self.record().notes.get_or_insert_default());
        }
    }

    /// Whether the call may leave an audit event.
    pub(super) const fn is_audited(&self) -> bool {
        self.audited
    }
}

/// A call in progress. When it is dropped unanswered, because the caller has disconnected, it writes the call's audit event.
pub(in crate::grpc) struct OpenCall<'a> {
    call: &'a CallContext,
    answered: bool,
}

impl<'a> OpenCall<'a> {
    pub(in crate::grpc) const fn begin(call: &'a CallContext) -> Self {
        Self { call, answered: false }
    }

    /// Ends the call with `code`. Returns the audit event to write before the response is sent, if there is one.
    pub(in crate::grpc) fn end(mut self, code: Code) -> Option<Event> {
        self.answered = true;
        let mut record = self.call.record();
        let class = event::class(code, record.refusal.as_ref());
        if let Some((_, traffic)) = &record.caller {
            traffic.called(class);
        }
        self.call.audited.then(|| event::answered(self.call, &mut record, code))?
    }
}

impl Drop for OpenCall<'_> {
    fn drop(&mut self) {
        if self.answered {
            return;
        }
        let mut record = self.call.record();
        if let Some((_, traffic)) = &record.caller {
            traffic.called(ResultClass::Failed);
        }
        if self.call.audited
            && let Some(event) = event::abandoned(self.call, &mut record)
        {
            self.call.parts.audit.note(event);
        }
    }
}
