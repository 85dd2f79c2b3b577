{{/* What Airflow's tasks are told about the pods they start: `headrace.config.KubernetesSettings`. */}}
{{- define "headrace.jobs.environment" -}}
{{- $names := include "headrace.names" . | fromYaml -}}
{{- $secrets := include "headrace.secrets" . | fromYaml -}}
HEADRACE_KUBERNETES__NAMESPACE: {{ $names.jobsNamespace }}
HEADRACE_KUBERNETES__STEP_IMAGE: {{ include "headrace.image" (list . "airflow") }}
HEADRACE_KUBERNETES__TRAINER_IMAGE: {{ include "headrace.image" (list . "trainer") }}
HEADRACE_KUBERNETES__SERVING_IMAGE: {{ include "headrace.image" (list . "serving") }}
HEADRACE_KUBERNETES__PULL_POLICY: {{ .Values.images.pullPolicy }}
HEADRACE_KUBERNETES__SERVICE_ACCOUNT: {{ $names.jobs }}
{{- if eq .Values.serving.backend "engine" }}
HEADRACE_KUBERNETES__ENGINE_SERVICE: {{ $names.serving }}
{{- end }}
HEADRACE_KUBERNETES__SECRETS: {{ list $secrets.storeJobs | toJson | squote }}
HEADRACE_KUBERNETES__SERVING_SECRETS: {{ list $secrets.storeServing | toJson | squote }}
HEADRACE_KUBERNETES__SCHEDULE_WITHIN_SECONDS: {{ .Values.jobs.scheduleWithinSeconds | quote }}
{{- with include "headrace.priorityClass" (list . "jobs") }}
HEADRACE_KUBERNETES__PRIORITY_CLASS: {{ . }}
{{- end }}
{{- with include "headrace.priorityClass" (list . "serving") }}
HEADRACE_KUBERNETES__SERVING_PRIORITY_CLASS: {{ . }}
{{- end }}
{{- with .Values.jobs.queue }}
HEADRACE_KUBERNETES__QUEUE: {{ . }}
{{- end }}
{{- end }}

{{/* The priority class of "serving" or of "jobs"; empty for none: (list . "jobs"). */}}
{{- define "headrace.priorityClass" -}}
{{- $root := index . 0 -}}{{- $kind := index . 1 -}}
{{- $created := ternary (printf "%s-%s" $root.Release.Name $kind) "" $root.Values.priorityClasses.create -}}
{{- get $root.Values.priorityClasses $kind | default $created -}}
{{- end }}

{{/* Whether jobs have a namespace of their own. */}}
{{- define "headrace.jobs.apart" -}}
{{- if and .Values.jobs.namespace (ne .Values.jobs.namespace .Release.Namespace) }}true{{ end -}}
{{- end }}
