{{/* The pod template of the Deployment and of the StatefulSet. */}}
{{- define "tokend.pod" -}}
{{- $scheme := ternary "HTTPS" "HTTP" .Values.tls.http -}}
metadata:
  labels:
    {{- include "tokend.labels" . | nindent 4 }}
    {{- with .Values.podLabels }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  annotations:
    # A changed configuration starts new pods.
    checksum/config: {{ printf "%s%s" (include "tokend.config" .) .Values.trustedIssuers | sha256sum }}
    {{- with .Values.podAnnotations }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
spec:
  serviceAccountName: {{ include "tokend.serviceAccount" . }}
  automountServiceAccountToken: false
  # Prevents the TOKEND_… variables that Kubernetes sets for a Service of this name.
  enableServiceLinks: false
  # Longer than drain_delay and drain_timeout together.
  terminationGracePeriodSeconds: {{ include "tokend.gracePeriod" . }}
  {{- with .Values.image.pullSecrets }}
  imagePullSecrets:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.priorityClassName }}
  priorityClassName: {{ . }}
  {{- end }}
  securityContext:
    runAsNonRoot: true
    runAsUser: 65532
    runAsGroup: 65532
    fsGroup: 65532
    fsGroupChangePolicy: OnRootMismatch
    seccompProfile: { type: RuntimeDefault }
  containers:
    - name: tokend
      image: {{ include "tokend.image" . }}
      imagePullPolicy: {{ .Values.image.pullPolicy }}
      args: [serve]
      env:
        # For the commands of `kubectl exec` too. The empty value removes the store that the image sets.
        - { name: TOKEND_CONFIG, value: /etc/tokend/tokend.toml }
        - { name: TOKEND_STORE, value: "" }
        {{- with .Values.extraEnv }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
      ports:
        - { name: grpc, containerPort: 50051 }
        - { name: http, containerPort: 8080 }
        {{- if .Values.metrics.enabled }}
        - { name: metrics, containerPort: 9464 }
        {{- end }}
      {{- if eq .Values.probes.type "grpc" }}
      startupProbe: { grpc: { port: 50051 }, periodSeconds: 1, failureThreshold: 60 }
      readinessProbe: { grpc: { port: 50051 }, periodSeconds: 2 }
      {{- else }}
      startupProbe: { httpGet: { path: /readyz, port: http, scheme: {{ $scheme }} }, periodSeconds: 1, failureThreshold: 60 }
      readinessProbe: { httpGet: { path: /readyz, port: http, scheme: {{ $scheme }} }, periodSeconds: 2 }
      {{- end }}
      # Not by gRPC: a replica that is not ready must not be restarted.
      livenessProbe: { httpGet: { path: /livez, port: http, scheme: {{ $scheme }} }, periodSeconds: 10 }
      resources:
        {{- toYaml .Values.resources | nindent 8 }}
      securityContext:
        allowPrivilegeEscalation: false
        readOnlyRootFilesystem: true
        capabilities: { drop: [ALL] }
      volumeMounts:
        - { name: config, mountPath: /etc/tokend, readOnly: true }
        {{- if or .Values.postgres.existingSecret .Values.sealingKey.existingSecret }}
        # Folders, because a mount with `subPath` is never updated.
        - { name: secrets, mountPath: /run/tokend, readOnly: true }
        {{- end }}
        {{- if not .Values.tls.plaintext }}
        - { name: tls, mountPath: /run/tls, readOnly: true }
        {{- end }}
        {{- if .Values.tls.clientCa.existingSecret }}
        - { name: client-ca, mountPath: /run/client-ca, readOnly: true }
        {{- end }}
        {{- if .Values.sqlite.enabled }}
        - { name: data, mountPath: /var/lib/tokend }
        {{- end }}
        {{- with .Values.extraVolumeMounts }}
        {{- toYaml . | nindent 8 }}
        {{- end }}
  volumes:
    - { name: config, configMap: { name: {{ include "tokend.fullname" . }} } }
    {{- if or .Values.postgres.existingSecret .Values.sealingKey.existingSecret }}
    - name: secrets
      projected:
        defaultMode: 0440
        sources:
          {{- with .Values.postgres }}{{ if .existingSecret }}
          - secret: { name: {{ .existingSecret }}, items: [{ key: {{ .key }}, path: store }] }
          {{- end }}{{ end }}
          {{- with .Values.sealingKey }}{{ if .existingSecret }}
          - secret: { name: {{ .existingSecret }}, items: [{ key: {{ .key }}, path: sealing.key }] }
          {{- end }}{{ end }}
    {{- end }}
    {{- if not .Values.tls.plaintext }}
    - { name: tls, secret: { secretName: {{ include "tokend.tlsSecret" . }}, defaultMode: 0440 } }
    {{- end }}
    {{- with .Values.tls.clientCa }}{{ if .existingSecret }}
    - { name: client-ca, secret: { secretName: {{ .existingSecret }}, items: [{ key: {{ .key }}, path: ca.crt }] } }
    {{- end }}{{ end }}
    {{- if and .Values.sqlite.enabled .Values.sqlite.existingClaim }}
    - { name: data, persistentVolumeClaim: { claimName: {{ .Values.sqlite.existingClaim }} } }
    {{- end }}
    {{- with .Values.extraVolumes }}
    {{- toYaml . | nindent 4 }}
    {{- end }}
  {{- if and .Values.topologySpreadConstraints (not .Values.sqlite.enabled) }}
  topologySpreadConstraints:
    {{- range .Values.topologySpreadConstraints }}
    -
      {{- toYaml . | nindent 6 }}
      labelSelector: { matchLabels: { app.kubernetes.io/name: {{ default $.Chart.Name $.Values.nameOverride }}, app.kubernetes.io/instance: {{ $.Release.Name }} } }
    {{- end }}
  {{- end }}
  {{- with .Values.nodeSelector }}
  nodeSelector:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.tolerations }}
  tolerations:
    {{- toYaml . | nindent 4 }}
  {{- end }}
  {{- with .Values.affinity }}
  affinity:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end -}}
