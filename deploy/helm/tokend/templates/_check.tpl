{{/* Rejects values that contradict each other. */}}
{{- define "tokend.check" -}}
{{- $values := .Values -}}
{{- $problems := list -}}
{{- if not .Values.issuer -}}
{{- $problems = append $problems "issuer: set the https URL of this service" -}}
{{- end -}}
{{- if and .Values.postgres.existingSecret .Values.sqlite.enabled -}}
{{- $problems = append $problems "postgres.existingSecret and sqlite.enabled: set one of them; there is one store" -}}
{{- end -}}
{{- if not (or .Values.postgres.existingSecret .Values.sqlite.enabled) -}}
{{- $problems = append $problems "postgres.existingSecret: set the Secret with the URL of PostgreSQL, or set sqlite.enabled" -}}
{{- end -}}
{{- if and .Values.sqlite.enabled (ne (int .Values.replicas) 1) -}}
{{- $problems = append $problems (printf "replicas: %d replicas need PostgreSQL; with sqlite.enabled set replicas to 1" (int .Values.replicas)) -}}
{{- end -}}
{{- if and .Values.sqlite.enabled .Values.autoscaling.enabled -}}
{{- $problems = append $problems "autoscaling.enabled: replicas need PostgreSQL; with sqlite.enabled there is one" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (gt (int .Values.autoscaling.minReplicas) (int .Values.autoscaling.maxReplicas)) -}}
{{- $problems = append $problems "autoscaling.minReplicas: is larger than maxReplicas" -}}
{{- end -}}
{{- if and .Values.autoscaling.enabled (not (dig "requests" "cpu" "" .Values.resources)) -}}
{{- $problems = append $problems "autoscaling.enabled: set resources.requests.cpu, from which the utilization is computed" -}}
{{- end -}}
{{- if not (or .Values.sealingKey.existingSecret .Values.config.vault_addr) -}}
{{- $problems = append $problems "sealingKey.existingSecret: set the Secret with the sealing key, or config.vault_addr" -}}
{{- end -}}
{{- $tls := list -}}
{{- if .Values.tls.existingSecret -}}{{- $tls = append $tls "tls.existingSecret" -}}{{- end -}}
{{- if .Values.tls.certManager.enabled -}}{{- $tls = append $tls "tls.certManager.enabled" -}}{{- end -}}
{{- if .Values.tls.plaintext -}}{{- $tls = append $tls "tls.plaintext" -}}{{- end -}}
{{- if eq (len $tls) 0 -}}
{{- $problems = append $problems "tls: set tls.existingSecret or tls.certManager.enabled, or tls.plaintext if a mesh encrypts" -}}
{{- else if gt (len $tls) 1 -}}
{{- $problems = append $problems (printf "%s: set one of them" (join " and " $tls)) -}}
{{- end -}}
{{- if and .Values.tls.certManager.enabled (not .Values.tls.certManager.issuerRef.name) -}}
{{- $problems = append $problems "tls.certManager.issuerRef.name: set the issuer of cert-manager" -}}
{{- end -}}
{{- if .Values.tls.plaintext -}}
{{- if .Values.tls.http -}}
{{- $problems = append $problems "tls.http: needs a certificate, and tls.plaintext is set" -}}
{{- end -}}
{{- if .Values.tls.clientCa.existingSecret -}}
{{- $problems = append $problems "tls.clientCa.existingSecret: client certificates need TLS, and tls.plaintext is set" -}}
{{- end -}}
{{- end -}}
{{- if and .Values.tls.clientCa.required (not .Values.tls.clientCa.existingSecret) -}}
{{- $problems = append $problems "tls.clientCa.required: set tls.clientCa.existingSecret" -}}
{{- end -}}
{{- if and .Values.oauthEndpoints (not (or .Values.tls.http .Values.tls.plaintext)) -}}
{{- $problems = append $problems "oauthEndpoints: clients send secrets to the HTTP port; set tls.http, or tls.plaintext if a mesh encrypts" -}}
{{- end -}}
{{- if and (eq .Values.probes.type "grpc") (not .Values.tls.plaintext) -}}
{{- $problems = append $problems "probes.type: the kubelet's gRPC probe has no TLS; use http, or set tls.plaintext if a mesh encrypts" -}}
{{- end -}}
{{- if and .Values.ingress.enabled (not .Values.ingress.tlsSecret) -}}
{{- $problems = append $problems "ingress.tlsSecret: set the Secret with the certificate of the issuer's host" -}}
{{- end -}}
{{- if .Values.metrics.serviceMonitor.enabled -}}
{{- if not .Values.metrics.enabled -}}
{{- $problems = append $problems "metrics.serviceMonitor.enabled: set metrics.enabled" -}}
{{- end -}}
{{- if and .Values.networkPolicy.enabled (not .Values.networkPolicy.metricsFrom) -}}
{{- $problems = append $problems "networkPolicy.metricsFrom: name the peers of Prometheus, which metrics.serviceMonitor needs" -}}
{{- end -}}
{{- if and .Values.tls.http (not .Values.metrics.serviceMonitor.tlsConfig) -}}
{{- $problems = append $problems "metrics.serviceMonitor.tlsConfig: the metrics use TLS (tls.http); set how Prometheus verifies the certificate" -}}
{{- end -}}
{{- end -}}
{{- $own := dict "issuer" "issuer" "store" "postgres or sqlite" "store_file" "postgres.existingSecret" "create_store" "createStore" "sealing_key_file" "sealingKey.existingSecret" "grpc_addr" "service.grpc.port" "http_addr" "service.http.port" "metrics_addr" "metrics.enabled" "allow_plaintext" "tls.plaintext" "tls_cert_file" "tls.existingSecret" "tls_key_file" "tls.existingSecret" "http_tls" "tls.http" "tls_client_ca_file" "tls.clientCa.existingSecret" "tls_client_auth" "tls.clientCa.required" "oauth_endpoints" "oauthEndpoints" "trusted_issuers_file" "trustedIssuers" -}}
{{- range $key, $value := .Values.config -}}
{{- if hasKey $own $key -}}
{{- $problems = append $problems (printf "config.%s: the chart writes this setting; set %s" $key (get $own $key)) -}}
{{- end -}}
{{- end -}}
{{- if $problems -}}
{{- fail (printf "\n  %s" (join "\n  " $problems)) -}}
{{- end -}}
{{- end -}}
