{{/* The environment of Airflow's components and of the tasks they run. */}}

{{/* All plain settings of Airflow and of the platform, before the user's own. `stack/environment.py` has the embedded stack's. */}}
{{- define "headrace.airflow.configuration" -}}
{{- $addresses := include "headrace.addresses" . | fromYaml -}}
HOME: /tmp
MALLOC_ARENA_MAX: "2"
PYTHONUNBUFFERED: "1"
PGSSLMODE: {{ ternary "prefer" .Values.postgresql.external.sslMode .Values.postgresql.enabled }}
AIRFLOW_HOME: /var/lib/airflow
AIRFLOW__CORE__EXECUTOR: LocalExecutor
AIRFLOW__CORE__PARALLELISM: {{ .Values.airflow.parallelism | quote }}
AIRFLOW__CORE__DAGS_FOLDER: /opt/headrace/dags
AIRFLOW__CORE__PLUGINS_FOLDER: /opt/headrace/plugins
AIRFLOW__CORE__LOAD_EXAMPLES: "False"
AIRFLOW__CORE__DAGS_ARE_PAUSED_AT_CREATION: "False"
AIRFLOW__CORE__EXECUTION_API_SERVER_URL: {{ $addresses.airflow }}/execution/
# Log servers are found by address: a Deployment's pods have no names in DNS.
AIRFLOW__CORE__HOSTNAME_CALLABLE: airflow.utils.net.get_host_ip_address
AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS: {{ include "headrace.airflow.users" . }}
AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE: /run/airflow/passwords.json
AIRFLOW__CORE__MIN_SERIALIZED_DAG_UPDATE_INTERVAL: "5"
# The init container has made sure; checking again costs seconds of every start.
AIRFLOW__DATABASE__CHECK_MIGRATIONS: "False"
AIRFLOW__API__BASE_URL: {{ .Values.airflow.baseUrl }}
AIRFLOW__API__WORKERS: "1"
AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_THRESHOLD: "20"
AIRFLOW__SCHEDULER__ORPHANED_TASKS_CHECK_INTERVAL: "20"
AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT: "90"
AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES: "1"
AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL: "60"
AIRFLOW__LOGGING__COLORED_CONSOLE_LOG: "False"
AIRFLOW__LOGGING__DAG_PROCESSOR_LOG_TARGET: stdout
AIRFLOW__LOGGING__REMOTE_LOGGING: "True"
AIRFLOW__LOGGING__REMOTE_LOG_CONN_ID: headrace_logs
AIRFLOW__LOGGING__REMOTE_BASE_LOG_FOLDER: s3://{{ .Values.store.buckets.logs }}/{{ .Release.Name }}
AIRFLOW__LOGGING__DELETE_LOCAL_LOGS: "True"
MLFLOW_TRACKING_URI: {{ $addresses.mlflow }}
MLFLOW_DISABLE_TELEMETRY: "true"
DO_NOT_TRACK: "true"
HEADRACE_HOME: /tmp/headrace
HEADRACE_PROJECT: /opt/headrace
HEADRACE_BACKEND: kubernetes
HEADRACE_SERVING_BACKEND: {{ .Values.serving.backend }}
HEADRACE_NAMESPACE: {{ .Release.Namespace }}
HEADRACE_TRACKING_URL: {{ $addresses.mlflow }}
HEADRACE_AIRFLOW_URL: {{ $addresses.airflow }}
{{- with $addresses.serving }}
HEADRACE_SERVING_URL: {{ . }}
{{- end }}
HEADRACE_STORE: minio
HEADRACE_MINIO__ENDPOINT: {{ $addresses.store }}
HEADRACE_MINIO__BUCKET: {{ .Values.store.buckets.platform }}
HEADRACE_MINIO__SECURE: {{ $addresses.storeSecure | quote }}
HEADRACE_MINIO__REGION: {{ .Values.store.region }}
{{- include "headrace.jobs.environment" . | nindent 0 }}
{{- end }}

{{/* As Airflow reads them: name:role, comma-separated. */}}
{{- define "headrace.airflow.users" -}}
{{- range $index, $user := .Values.airflow.users -}}
{{- if $index }},{{ end }}{{ $user.name }}:{{ $user.role }}
{{- end -}}
{{- end }}

{{/* Secrets as variables: database, signing keys, and the account that keeps task logs. */}}
{{- define "headrace.airflow.secretEnvironment" -}}
{{- $secrets := include "headrace.secrets" . | fromYaml -}}
{{- $addresses := include "headrace.addresses" . | fromYaml -}}
{{- $database := printf "airflow:$(AIRFLOW_DATABASE_PASSWORD)@%s:%v/airflow" $addresses.database $addresses.databasePort -}}
{{ include "headrace.fromSecret" (list "AIRFLOW_DATABASE_PASSWORD" $secrets.postgresql "airflow-password") }}
- name: AIRFLOW__DATABASE__SQL_ALCHEMY_CONN
  value: postgresql+psycopg2://{{ $database }}
- name: AIRFLOW__DATABASE__SQL_ALCHEMY_CONN_ASYNC
  value: postgresql+asyncpg://{{ $database }}
{{ include "headrace.fromSecret" (list "AIRFLOW__CORE__FERNET_KEY" $secrets.airflow "fernet-key") }}
{{ include "headrace.fromSecret" (list "AIRFLOW__API_AUTH__JWT_SECRET" $secrets.airflow "jwt-secret") }}
{{ include "headrace.fromSecret" (list "AIRFLOW__API__SECRET_KEY" $secrets.airflow "api-secret-key") }}
{{ include "headrace.fromSecret" (list "LOGS_ACCESS_KEY" $secrets.storeLogs "HEADRACE_MINIO__ACCESS_KEY") }}
{{ include "headrace.fromSecret" (list "LOGS_SECRET_KEY" $secrets.storeLogs "HEADRACE_MINIO__SECRET_KEY") }}
- name: AIRFLOW_CONN_HEADRACE_LOGS
  value: {{ include "headrace.airflow.logsConnection" . | quote }}
{{- end }}

{{/* Airflow's connection to the store of task logs, as JSON; the kubelet puts the keys in. */}}
{{- define "headrace.airflow.logsConnection" -}}
{{- $addresses := include "headrace.addresses" . | fromYaml -}}
{{- $url := printf "%s://%s" (ternary "https" "http" $addresses.storeSecure) $addresses.store -}}
{{- $extra := dict "endpoint_url" $url "region_name" .Values.store.region -}}
{{- dict "conn_type" "aws" "login" "$(LOGS_ACCESS_KEY)" "password" "$(LOGS_SECRET_KEY)" "extra" $extra | toJson -}}
{{- end }}

{{/* What tasks need besides: headrace's own database and the platform's account at the store. The scheduler and the triggerer run them. */}}
{{- define "headrace.airflow.taskEnvironment" -}}
{{- $secrets := include "headrace.secrets" . | fromYaml -}}
{{- include "headrace.databaseEnvironment" . }}
{{ include "headrace.fromSecret" (list "HEADRACE_MINIO__ACCESS_KEY" $secrets.storePlatform "HEADRACE_MINIO__ACCESS_KEY") }}
{{ include "headrace.fromSecret" (list "HEADRACE_MINIO__SECRET_KEY" $secrets.storePlatform "HEADRACE_MINIO__SECRET_KEY") }}
{{- end }}

{{- define "headrace.databaseEnvironment" -}}
{{- $secrets := include "headrace.secrets" . | fromYaml -}}
{{- $addresses := include "headrace.addresses" . | fromYaml -}}
{{ include "headrace.fromSecret" (list "HEADRACE_DATABASE_PASSWORD" $secrets.postgresql "headrace-password") }}
- name: HEADRACE_DATABASE_URL
  value: postgresql+psycopg2://headrace:$(HEADRACE_DATABASE_PASSWORD)@{{ $addresses.database }}:{{ $addresses.databasePort }}/headrace
{{- end }}
