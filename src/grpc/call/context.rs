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

/// One call, from its headers to its audit event.
#[derive(Debug)]
pub(in crate::grpc) struct CallContext {
    pub(super) method: &'static MethodInfo,
    pub(super) request_id: HeaderValue,
    pub(super) peer: Option<Peer>,
    /// Whether notes for the audit log are wanted.
    audited: bool,
    parts: Arc<EdgeParts>,
    trace: Option<CallSpan>,
    log_span: OnceLock<Span>,
    record: Mutex<Record>,
}

impl CallContext {
    /// A call that begins now.
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

    /// The context that the edge put into a request's extensions.
    ///
    /// # Errors
    /// When the request did not come through the edge: then nothing is served.
    pub(in crate::grpc) fn of(extensions: &Extensions) -> Result<Arc<Self>, Status> {
        extensions
            .get::<Arc<Self>>()
            .map(Arc::clone)
            .ok_or_else(|| CallError::Lost.into_status_outside_calls())
    }

    /// Authenticates the caller, then admits the call. Every method that needs a caller begins with this.
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
        // In mode `required`, a call that must be audited does not start while the audit log cannot be written.
        if self.method.audited == Audited::Always && self.parts.audit.is_blocked() {
            return Err(AuditUnavailable.into());
        }
        let caller = authenticated.admit(admission, &traffic, self.method.class).await?;
        self.record().admitted = true;
        Ok(caller)
    }

    /// Admits one more item of a stream. The caller's credential is checked again, except for an assertion, which is valid once: of its
    /// client it is checked that it may still present one.
    pub(in crate::grpc) async fn readmit(
        &self,
        authenticator: &Authenticator,
        before: &Authenticated,
        headers: &HeaderMap,
    ) -> Result<Caller, CallError> {
        let now = match before.method() {
            AuthenticationMethod::PrivateKeyJwt => authenticator.again(before)?,
            _ => authenticator.authenticate(headers, self.peer.as_ref()).await?,
        };
        let admission = &self.parts.admission;
        let traffic = admission.traffic(now.client_id());
        let admitted = now.admit(admission, &traffic, self.method.class).await;
        if admitted.is_err() {
            traffic.called(ResultClass::Limited);
        }
        Ok(admitted?)
    }

    /// A stream has ended with this code after its call was answered: writes the event of its end or of its refused items, if there is one.
    pub(in crate::grpc) fn stream_ended(&self, code: Code) {
        if self.audited
            && let Some(event) = event::answered(self, &mut self.record(), code)
        {
            self.parts.audit.note(event);
        }
    }

    /// Where the call comes from, if the transport tells.
    pub(in crate::grpc) fn address(&self) -> Option<IpAddr> {
        self.peer.as_ref().map(|peer| peer.address)
    }

    /// The method's entry in the table of methods.
    pub(in crate::grpc) const fn method(&self) -> &'static MethodInfo {
        self.method
    }

    /// The id that finds the call in the log.
    pub(in crate::grpc) const fn request_id(&self) -> &HeaderValue {
        &self.request_id
    }

    /// The span of the call's log lines, with the request id. It is made when it is first needed: a call that logs nothing has none.
    pub(in crate::grpc) fn log_span(&self) -> &Span {
        // At ERROR, so that no level filter drops the span: every line has the request id.
        self.log_span.get_or_init(|| {
            let request_id = self.request_id.to_str().unwrap_or_default();
            let trace_id = self.trace.as_ref().map(CallSpan::trace_id);
            tracing::error_span!("call", method = self.method.path, request_id, trace_id)
        })
    }

    /// The trace that the call is part of, if it is sampled.
    pub(in crate::grpc) const fn trace(&self) -> Option<&CallSpan> {
        self.trace.as_ref()
    }

    /// Whether the caller was authenticated.
    pub(in crate::grpc) fn has_caller(&self) -> bool {
        self.record().caller.is_some()
    }

    /// The method's result as tonic wants it.
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

    /// Notes something for the audit log, if events are written at all.
    pub(super) fn note(&self, note: impl FnOnce(&mut Notes)) {
        if self.audited {
            note(self.record().notes.get_or_insert_default());
        }
    }

    /// Whether notes for the audit log are wanted.
    pub(super) const fn is_audited(&self) -> bool {
        self.audited
    }
}

/// A call that is not answered yet. Dropped with its future, it notes that the caller disconnected.
pub(in crate::grpc) struct OpenCall<'a> {
    call: &'a CallContext,
    answered: bool,
}

impl<'a> OpenCall<'a> {
    pub(in crate::grpc) const fn begin(call: &'a CallContext) -> Self {
        Self { call, answered: false }
    }

    /// The call is answered with this code. Returns the event to write before the response is sent, if there is one.
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
