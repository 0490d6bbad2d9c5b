{{- define "tokend.fullname" -}}
{{- $name := default .Chart.Name .Values.nameOverride -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 52 | trimSuffix "-" -}}
{{- else if contains $name .Release.Name -}}
{{- .Release.Name | trunc 52 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 52 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "tokend.selectorLabels" -}}
app.kubernetes.io/name: {{ default .Chart.Name .Values.nameOverride }}
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end -}}

{{- define "tokend.labels" -}}
{{ include "tokend.selectorLabels" . }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- end -}}

{{/* Name, namespace and labels of an object; takes the root and a suffix of the name. */}}
{{- define "tokend.metadata" -}}
{{- $root := index . 0 -}}
name: {{ include "tokend.fullname" $root }}{{ index . 1 }}
namespace: {{ $root.Release.Namespace }}
labels:
  {{- include "tokend.labels" $root | nindent 2 }}
{{- end -}}

{{- define "tokend.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ .Values.image.tag | default .Chart.AppVersion }}
{{- end -}}
{{- end -}}

{{- define "tokend.serviceAccount" -}}
{{- .Values.serviceAccount.existing | default (include "tokend.fullname" .) -}}
{{- end -}}

{{- define "tokend.tlsSecret" -}}
{{- if .Values.tls.certManager.enabled -}}
{{ include "tokend.fullname" . }}-tls
{{- else -}}
{{ .Values.tls.existingSecret }}
{{- end -}}
{{- end -}}

{{- define "tokend.httpPort" -}}
{{- .Values.service.http.port | default (ternary 443 80 .Values.tls.http) | int -}}
{{- end -}}

{{/* Seconds of a setting in `config`; takes the root, its key and its default. */}}
{{- define "tokend.seconds" -}}
{{- $text := get (index . 0).Values.config (index . 1) | default (index . 2) -}}
{{- if not (regexMatch "^[0-9]+(ms|s|m|h)$" (toString $text)) -}}
{{- fail (printf "config.%s: %v is no duration such as 5s or 2m" (index . 1) $text) -}}
{{- end -}}
{{- $number := regexFind "^[0-9]+" $text | int -}}
{{- $unit := regexFind "[a-z]+$" $text -}}
{{- if eq $unit "ms" -}}
{{- div (add $number 999) 1000 -}}
{{- else -}}
{{- mul $number (get (dict "s" 1 "m" 60 "h" 3600) $unit) -}}
{{- end -}}
{{- end -}}

{{/* drain_delay and drain_timeout, and 15 s for the last log lines, spans and audit events. */}}
{{- define "tokend.gracePeriod" -}}
{{- add (include "tokend.seconds" (list . "drain_delay" "5s") | int) (include "tokend.seconds" (list . "drain_timeout" "20s") | int) 15 -}}
{{- end -}}
