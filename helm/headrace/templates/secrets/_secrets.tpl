{{/*
What a generated Secret holds already, as YAML: (list . namespace name). Empty on the first installation, and wherever Helm has no
cluster to ask (`helm template`, a client-side dry run): there each rendering generates anew.
*/}}
{{- define "headrace.secretData" -}}
{{- $found := lookup "v1" "Secret" (index . 1) (index . 2) -}}
{{- get ($found | default dict) "data" | default dict | toYaml -}}
{{- end }}

{{/* A generated Secret: (dict "root" . "name" … "namespace" … "component" … "data" (dict of plain values)). */}}
{{- define "headrace.generatedSecret" -}}
---
apiVersion: v1
kind: Secret
metadata:
  name: {{ .name }}
  namespace: {{ .namespace }}
  labels:
    {{- include "headrace.labels" (list .root .component) | nindent 4 }}
  {{- if .root.Values.retainOnUninstall }}
  annotations:
    # The volumes stay, and these are the keys to them.
    helm.sh/resource-policy: keep
  {{- end }}
type: Opaque
data:
  {{- range $key, $value := .data }}
  {{ $key }}: {{ $value | b64enc }}
  {{- end }}
{{- end }}

{{/*
A generated Secret's plain values: what it holds already, or a new one: (list . namespace name (dict key generated)). As JSON.
*/}}
{{- define "headrace.keptOrNew" -}}
{{- $kept := include "headrace.secretData" . | fromYaml -}}
{{- $data := dict -}}
{{- range $key, $generated := index . 3 -}}
{{- $_ := set $data $key (get $kept $key | b64dec | default $generated) -}}
{{- end -}}
{{- $data | toJson -}}
{{- end }}

{{/* Passwords by user, as JSON: former ones stay, a new user gets one, a removed user's goes: (list . former-JSON). */}}
{{- define "headrace.passwords" -}}
{{- $former := index . 1 | default "{}" | fromJson -}}
{{- $passwords := dict -}}
{{- range (index . 0).Values.airflow.users -}}
{{- $_ := set $passwords .name (get $former .name | default (randAlphaNum 24)) -}}
{{- end -}}
{{- $passwords | toJson -}}
{{- end }}
