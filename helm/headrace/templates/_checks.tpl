{{/* What the schema cannot say: values that only make sense together. */}}
{{- define "headrace.checks" -}}
{{- if and (not .Values.postgresql.enabled) (not .Values.postgresql.external.host) -}}
{{- fail "postgresql.external.host: postgresql.enabled is false, so say where PostgreSQL is" -}}
{{- end -}}
{{- if and (not .Values.postgresql.enabled) (not .Values.postgresql.existingSecret) -}}
{{- fail "postgresql.existingSecret: an external PostgreSQL's passwords come from a Secret with the keys airflow-password, mlflow-password and headrace-password" -}}
{{- end -}}
{{- if and (not .Values.minio.enabled) (not .Values.store.external.endpoint) -}}
{{- fail "store.external.endpoint: minio.enabled is false, so say where the object store is (host or host:port)" -}}
{{- end -}}
{{- if not .Values.minio.enabled -}}
{{- range $user, $existing := .Values.store.existingSecrets -}}
{{- if not $existing -}}
{{- fail (printf "store.existingSecrets.%s: an external store's keys come from a Secret with HEADRACE_MINIO__ACCESS_KEY and HEADRACE_MINIO__SECRET_KEY" $user) -}}
{{- end -}}
{{- end -}}
{{- end -}}
{{- if and (eq .Values.serving.backend "seldon") .Values.ingress.hosts.serving -}}
{{- fail "ingress.hosts.serving: with Seldon, graphs answer behind its own gateway, not behind this Ingress" -}}
{{- end -}}
{{- if gt (len .Release.Name) 36 -}}
{{- fail (printf "the release's name %q is longer than 36 characters: names made of it would not fit" .Release.Name) -}}
{{- end -}}
{{- end }}
