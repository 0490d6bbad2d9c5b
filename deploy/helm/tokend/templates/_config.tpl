{{/* tokend.toml. JSON strings, numbers, booleans and arrays are valid TOML. */}}
{{- define "tokend.config" -}}
issuer = {{ .Values.issuer | toJson }}
{{- if .Values.sqlite.enabled }}
store = "sqlite:/var/lib/tokend/tokend.db"
{{- else }}
store_file = "/run/tokend/store"
{{- end }}
{{- if .Values.createStore }}
create_store = true
{{- end }}
{{- if .Values.sealingKey.existingSecret }}
sealing_key_file = "/run/tokend/sealing.key"
{{- end }}
grpc_addr = "0.0.0.0:50051"
http_addr = "0.0.0.0:8080"
{{- if .Values.metrics.enabled }}
metrics_addr = "0.0.0.0:9464"
{{- end }}
{{- if .Values.tls.plaintext }}
allow_plaintext = true
{{- else }}
tls_cert_file = "/run/tls/tls.crt"
tls_key_file = "/run/tls/tls.key"
{{- end }}
{{- if .Values.tls.http }}
http_tls = true
{{- end }}
{{- if .Values.tls.clientCa.existingSecret }}
tls_client_ca_file = "/run/client-ca/ca.crt"
tls_client_auth = {{ ternary "required" "optional" .Values.tls.clientCa.required | toJson }}
{{- end }}
{{- if .Values.oauthEndpoints }}
oauth_endpoints = true
{{- end }}
{{- if .Values.trustedIssuers }}
trusted_issuers_file = "/etc/tokend/trusted_issuers.toml"
{{- end }}
{{- range $key, $value := .Values.config }}
{{ $key }} = {{ $value | toJson }}
{{- end }}
{{ end -}}
