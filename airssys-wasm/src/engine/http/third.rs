//! `wasi:http/handler` of WASI 0.3, as far as its types say what it is. How it is called is in `p3/`.

use wasmtime::component::types::{ComponentFunc, Type};

use crate::engine::signature::Resources;

/// Its function, as `exports.rs` writes a type.
pub(super) const HANDLE: &str = "async func(request: own<wasi:http/types@0.3#request>) -> \
    result<own<wasi:http/types@0.3#response>, variant { DNS-timeout, \
    DNS-error(record { rcode: option<string>, info-code: option<u16> }), destination-not-found, \
    destination-unavailable, destination-IP-prohibited, destination-IP-unroutable, connection-refused, \
    connection-terminated, connection-timeout, connection-read-timeout, connection-write-timeout, \
    connection-limit-reached, TLS-protocol-error, TLS-certificate-error, \
    TLS-alert-received(record { alert-id: option<u8>, alert-message: option<string> }), HTTP-request-denied, \
    HTTP-request-length-required, HTTP-request-body-size(option<u64>), HTTP-request-method-invalid, \
    HTTP-request-URI-invalid, HTTP-request-URI-too-long, HTTP-request-header-section-size(option<u32>), \
    HTTP-request-header-size(option<record { field-name: option<string>, field-size: option<u32> }>), \
    HTTP-request-trailer-section-size(option<u32>), \
    HTTP-request-trailer-size(record { field-name: option<string>, field-size: option<u32> }), \
    HTTP-response-incomplete, HTTP-response-header-section-size(option<u32>), \
    HTTP-response-header-size(record { field-name: option<string>, field-size: option<u32> }), \
    HTTP-response-body-size(option<u64>), HTTP-response-trailer-section-size(option<u32>), \
    HTTP-response-trailer-size(record { field-name: option<string>, field-size: option<u32> }), \
    HTTP-response-transfer-coding(option<string>), HTTP-response-content-coding(option<string>), \
    HTTP-response-timeout, HTTP-upgrade-failed, HTTP-protocol-error, loop-detected, configuration-error, \
    internal-error(option<string>) }>";

/// The interface of those that handle HTTP, in any version of this generation.
pub(super) const HANDLER: &str = "wasi:http/handler@0.3.0";

/// See [`super::is_handle`].
pub(super) fn is_handle(function: &ComponentFunc, imported: &Resources) -> bool {
    let is = |ty: Type, resource: &str| match ty {
        Type::Own(own) => imported.get(&own).is_some_and(|(_, name)| name == resource),
        _ => false,
    };
    let mut params = function.params().map(|(_, ty)| ty);
    let takes = params.next().is_some_and(|ty| is(ty, "wasi:http/types@0.3#request")) && params.next().is_none();
    let gives = match function.results().next() {
        Some(Type::Result(result)) => result.ok().is_some_and(|ok| is(ok, "wasi:http/types@0.3#response")),
        _ => false,
    };
    takes && gives
}
