{{/*
Every name, label and address of the chart, once. Templates read them as
    {{- $names := include "headrace.names" . | fromYaml }}
*/}}

{{/* Names of objects, by component. A Service, its workload and its ServiceAccount share one. */}}
{{- define "headrace.names" -}}
{{- $release := .Release.Name -}}
plain: {{ $release }}
apiServer: {{ $release }}-airflow-api-server
scheduler: {{ $release }}-airflow-scheduler
dagProcessor: {{ $release }}-airflow-dag-processor
triggerer: {{ $release }}-airflow-triggerer
airflow: {{ $release }}-airflow
scripts: {{ $release }}-scripts
mlflow: {{ $release }}-mlflow
serving: {{ $release }}-serving
postgresql: {{ $release }}-postgresql
minio: {{ $release }}-minio
migrations: {{ $release }}-migrate
jobs: {{ $release }}-jobs
runner: {{ $release }}-runner
graphs: {{ $release }}-graphs
storePlan: {{ $release }}-store-plan
jobsNamespace: {{ .Values.jobs.namespace | default .Release.Namespace }}
{{- end }}

{{/* Names of the Secrets the components read: the user's own where given, the generated ones otherwise. */}}
{{- define "headrace.secrets" -}}
{{- $release := .Release.Name -}}
airflow: {{ .Values.airflow.existingSecret | default (printf "%s-airflow" $release) }}
mlflow: {{ .Values.mlflow.existingSecret | default (printf "%s-mlflow" $release) }}
postgresql: {{ .Values.postgresql.existingSecret | default (printf "%s-postgresql" $release) }}
minio: {{ .Values.minio.existingSecret | default (printf "%s-minio" $release) }}
{{- range $user, $existing := .Values.store.existingSecrets }}
store{{ $user | title }}: {{ $existing | default (include "headrace.storeSecret" (list $release $user)) }}
{{- end }}
{{- end }}

{{/* The generated Secret of one of the store's users. Those of jobs and of serving are named in the environment of their pods. */}}
{{- define "headrace.storeSecret" -}}
{{- $release := index . 0 -}}{{- $user := index . 1 -}}
{{- if has $user (list "jobs" "serving") -}}{{ $release }}-{{ $user }}{{- else -}}{{ $release }}-store-{{ $user }}{{- end -}}
{{- end }}

{{/* Where things answer, from anywhere in the cluster. */}}
{{- define "headrace.addresses" -}}
{{- $names := include "headrace.names" . | fromYaml -}}
{{- $namespace := .Release.Namespace -}}
airflow: http://{{ $names.apiServer }}.{{ $namespace }}.svc:8080
mlflow: http://{{ $names.mlflow }}.{{ $namespace }}.svc:5000
{{- if .Values.serving.url }}
serving: {{ .Values.serving.url }}
{{- else if eq .Values.serving.backend "engine" }}
serving: http://{{ $names.serving }}.{{ $namespace }}.svc:9000
{{- end }}
database: {{ ternary (printf "%s.%s.svc" $names.postgresql $namespace) .Values.postgresql.external.host .Values.postgresql.enabled | quote }}
databasePort: {{ ternary 5432 (int .Values.postgresql.external.port) .Values.postgresql.enabled }}
store: {{ ternary (printf "%s.%s.svc:9000" $names.minio $namespace) .Values.store.external.endpoint .Values.minio.enabled | quote }}
storeSecure: {{ ternary false .Values.store.external.secure .Values.minio.enabled }}
{{- end }}

{{/* What selects a component's pods: (list . "component"). Never changed once released: a workload's selector is immutable. */}}
{{- define "headrace.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: headrace
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* The labels of an object: (list . "component"). */}}
{{- define "headrace.labels" -}}
{{- $root := index . 0 -}}
{{ include "headrace.selector" . }}
app.kubernetes.io/part-of: headrace
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
helm.sh/chart: {{ $root.Chart.Name }}-{{ $root.Chart.Version }}
{{- end }}

{{/* The labels of a component's pods: they leave out what changes with every release, lest every release restart every pod. */}}
{{- define "headrace.podLabels" -}}
{{ include "headrace.selector" . }}
app.kubernetes.io/part-of: headrace
{{- end }}

{{/* An image's reference: (list . "airflow"). */}}
{{- define "headrace.image" -}}
{{- $root := index . 0 -}}{{- $image := get $root.Values.images (index . 1) -}}
{{- $own := has (index . 1) (list "airflow" "trainer" "serving" "mlflow") -}}
{{- $tag := $image.tag | default (ternary ($root.Values.images.tag | default $root.Chart.AppVersion) "" $own) -}}
{{- if not $tag -}}{{- fail (printf "images.%s.tag: say which; only headrace's own images take images.tag" (index . 1)) -}}{{- end -}}
{{- with $root.Values.images.registry }}{{ . | trimSuffix "/" }}/{{ end }}{{ $image.repository }}:{{ $tag }}
{{- end }}
