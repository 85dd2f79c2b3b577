{{/* Peers and ports of network policies. A policy lists both ends of each connection: both namespaces deny all else. */}}

{{/* A component's pods as a peer: (list . "component"). */}}
{{- define "headrace.peer" -}}
- podSelector:
    matchLabels:
      {{- include "headrace.selector" . | nindent 6 }}
{{- end }}

{{/* The pods of steps and training workers, wherever jobs run. */}}
{{- define "headrace.jobPeers" -}}
{{- $names := include "headrace.names" . | fromYaml -}}
- namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ $names.jobsNamespace }}
  podSelector:
    {{- include "headrace.jobPods" . | nindent 4 }}
{{- end }}

{{/* Pods that the platform starts: headrace.render names them. */}}
{{- define "headrace.jobPods" -}}
matchExpressions:
  - {key: app.kubernetes.io/name, operator: In, values: [headrace-step, headrace-training]}
{{- end }}

{{/* Graphs that Seldon runs: the label its operator puts on their pods. */}}
{{- define "headrace.graphPods" -}}
matchExpressions:
  - {key: seldon-deployment-id, operator: Exists}
{{- end }}

{{/* Egress rules, each a list item. */}}
{{- define "headrace.egress.dns" -}}
- ports:
    - {port: 53, protocol: UDP}
    - {port: 53, protocol: TCP}
  {{- with .Values.networkPolicies.dns }}
  to:
    {{- toYaml . | nindent 4 }}
  {{- end }}
{{- end }}

{{- define "headrace.egress.apiServer" -}}
- ports:
    {{- range .Values.networkPolicies.apiServer.ports }}
    - {port: {{ . }}, protocol: TCP}
    {{- end }}
  to:
    {{- include "headrace.cidrs" .Values.networkPolicies.apiServer.cidrs | nindent 4 }}
{{- end }}

{{- define "headrace.egress.database" -}}
{{- $addresses := include "headrace.addresses" . | fromYaml -}}
- ports:
    - {port: {{ $addresses.databasePort }}, protocol: TCP}
  to:
    {{- if .Values.postgresql.enabled }}
    {{- include "headrace.peer" (list . "postgresql") | nindent 4 }}
    {{- else }}
    {{- include "headrace.cidrs" .Values.networkPolicies.external.cidrs | nindent 4 }}
    {{- end }}
{{- end }}

{{/* The store, from the release's own namespace or another. */}}
{{- define "headrace.egress.store" -}}
{{- $addresses := include "headrace.addresses" . | fromYaml -}}
- ports:
    {{- $port := regexFind "[0-9]+$" (regexFind ":[0-9]+$" $addresses.store) | default (ternary "443" "80" $addresses.storeSecure) }}
    - {port: {{ $port }}, protocol: TCP}
  to:
    {{- if .Values.minio.enabled }}
    {{- include "headrace.peerFromAnywhere" (list . "minio") | nindent 4 }}
    {{- else }}
    {{- include "headrace.cidrs" .Values.networkPolicies.external.cidrs | nindent 4 }}
    {{- end }}
{{- end }}

{{/* A component as a peer of pods in any namespace: (list . "component" port). */}}
{{- define "headrace.egress.to" -}}
- ports:
    - {port: {{ index . 2 }}, protocol: TCP}
  to:
    {{- include "headrace.peerFromAnywhere" . | nindent 4 }}
{{- end }}

{{- define "headrace.peerFromAnywhere" -}}
- namespaceSelector:
    matchLabels:
      kubernetes.io/metadata.name: {{ (index . 0).Release.Namespace }}
  podSelector:
    matchLabels:
      {{- include "headrace.selector" . | nindent 6 }}
{{- end }}

{{- define "headrace.cidrs" -}}
{{- range . }}
- ipBlock: {cidr: {{ . }}}
{{- end }}
{{- end }}

{{/* An ingress rule: (dict "port" 8080 "from" (text of peers)); nothing when there are no peers, since an empty list allows all. */}}
{{- define "headrace.ingress.from" -}}
{{- with .from | trim }}
- ports:
    - {port: {{ $.port }}, protocol: TCP}
  from:
    {{- . | nindent 4 }}
{{- end }}
{{- end }}

{{/* The user's own peers, as text: (.Values.networkPolicies.…). */}}
{{- define "headrace.peers" -}}
{{- with . }}{{ toYaml . }}{{ end }}
{{- end }}

{{/* A policy of one component: (dict "root" . "component" … "name" … "ingress" (list of rules) "egress" (list of rules)). */}}
{{- define "headrace.networkPolicy" -}}
---
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "headrace.labels" (list .root .component) | nindent 4 }}
spec:
  podSelector:
    matchLabels:
      {{- include "headrace.selector" (list .root .component) | nindent 6 }}
  policyTypes: [Ingress, Egress]
  {{- with join "\n" .ingress | trim }}
  ingress:
    {{- . | nindent 4 }}
  {{- end }}
  {{- with join "\n" .egress | trim }}
  egress:
    {{- . | nindent 4 }}
  {{- end }}
{{- end }}

{{/* From Airflow's tasks to the graphs: the engine's pods, Seldon's executors, or the gateway in front of them. */}}
{{- define "headrace.egress.graphs" -}}
{{- if eq .Values.serving.backend "engine" -}}
{{- include "headrace.egress.to" (list . "serving" 9000) -}}
{{- else if not .Values.serving.url -}}
- ports:
    - {port: 8000, protocol: TCP}
  to:
    - podSelector:
        {{- include "headrace.graphPods" . | nindent 8 }}
{{- else -}}
{{- $url := urlParse .Values.serving.url -}}
- ports:
    - {port: {{ regexFind "[0-9]+$" (regexFind ":[0-9]+$" $url.host) | default (ternary "443" "80" (eq $url.scheme "https")) }}, protocol: TCP}
  to:
    - namespaceSelector: {}
    {{- include "headrace.cidrs" .Values.networkPolicies.external.cidrs | nindent 4 }}
{{- end -}}
{{- end }}
