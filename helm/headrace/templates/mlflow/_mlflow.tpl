{{/* Image, environment, mounts and resources of MLflow's server and of its migration. */}}
{{- define "headrace.mlflow.container" -}}
image: {{ include "headrace.image" (list . "mlflow") }}
imagePullPolicy: {{ .Values.images.pullPolicy }}
env:
  {{- include "headrace.mlflow.environment" . | nindent 2 }}
resources:
  {{- toYaml .Values.mlflow.resources | nindent 2 }}
securityContext:
  {{- include "headrace.containerSecurity" . | nindent 2 }}
volumeMounts:
  - {name: tmp, mountPath: /tmp}
  - {name: scripts, mountPath: /etc/headrace, readOnly: true}
{{- end }}

{{/* The server is not its own client: no tracking address. */}}
{{- define "headrace.mlflow.environment" -}}
{{- $secrets := include "headrace.secrets" . | fromYaml -}}
{{- $addresses := include "headrace.addresses" . | fromYaml -}}
- {name: HOME, value: /tmp}
- {name: MALLOC_ARENA_MAX, value: "2"}
- {name: PYTHONUNBUFFERED, value: "1"}
- {name: DO_NOT_TRACK, value: "true"}
- {name: MLFLOW_DISABLE_TELEMETRY, value: "true"}
- {name: MLFLOW_SERVER_ENABLE_JOB_EXECUTION, value: "false"}
- {name: PGSSLMODE, value: {{ ternary "prefer" .Values.postgresql.external.sslMode .Values.postgresql.enabled }}}
{{ include "headrace.fromSecret" (list "MLFLOW_DATABASE_PASSWORD" $secrets.postgresql "mlflow-password") }}
- name: MLFLOW_BACKEND_STORE_URI
  value: postgresql+psycopg2://mlflow:$(MLFLOW_DATABASE_PASSWORD)@{{ $addresses.database }}:{{ $addresses.databasePort }}/mlflow
- name: MLFLOW_S3_ENDPOINT_URL
  value: {{ ternary "https" "http" $addresses.storeSecure }}://{{ $addresses.store }}
- name: AWS_DEFAULT_REGION
  value: {{ .Values.store.region }}
{{ include "headrace.fromSecret" (list "AWS_ACCESS_KEY_ID" $secrets.storeMlflow "HEADRACE_MINIO__ACCESS_KEY") }}
{{ include "headrace.fromSecret" (list "AWS_SECRET_ACCESS_KEY" $secrets.storeMlflow "HEADRACE_MINIO__SECRET_KEY") }}
{{ include "headrace.fromSecret" (list "MLFLOW_CRYPTO_KEK_PASSPHRASE" $secrets.mlflow "kek-passphrase") }}
{{- end }}

{{/* The names MLflow answers to: its Service's, a port-forward's, an Ingress's; anything else is a forged Host header. */}}
{{- define "headrace.mlflow.hosts" -}}
{{- $name := (include "headrace.names" . | fromYaml).mlflow -}}
{{- $qualified := printf "%s.%s" $name .Release.Namespace -}}
{{- $hosts := list "localhost:*" "127.0.0.1:*" -}}
{{- range list $name $qualified (print $qualified ".svc") (print $qualified ".svc.cluster.local") -}}
{{- $hosts = append $hosts (print . ":5000") -}}
{{- end -}}
{{- with .Values.ingress.hosts.mlflow -}}{{- $hosts = append $hosts . -}}{{- end -}}
{{- concat $hosts .Values.mlflow.allowedHosts | join "," -}}
{{- end }}
