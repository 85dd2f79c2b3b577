{{/* What all pods of the chart have in common: the `restricted` Pod Security Standard, placement, scratch volumes. */}}

{{/* A pod's securityContext: (dict "user" 10001). */}}
{{- define "headrace.podSecurity" -}}
runAsNonRoot: true
runAsUser: {{ .user }}
runAsGroup: {{ .user }}
fsGroup: {{ .user }}
fsGroupChangePolicy: OnRootMismatch
seccompProfile:
  type: RuntimeDefault
{{- end }}

{{/* A container's securityContext. */}}
{{- define "headrace.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities:
  drop: [ALL]
{{- end }}

{{/*
How a pod is placed and pulled: (list . "component"). Service variables are left out of the environment: with a release called
`mlflow`, say, Kubernetes would set MLFLOW_PORT.
*/}}
{{- define "headrace.placement" -}}
{{- $root := index . 0 -}}
enableServiceLinks: false
{{- with $root.Values.images.pullSecrets }}
imagePullSecrets:
  {{- range . }}
  - name: {{ . }}
  {{- end }}
{{- end }}
{{- with $root.Values.pods.nodeSelector }}
nodeSelector:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $root.Values.pods.tolerations }}
tolerations:
  {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
  {{- range list "kubernetes.io/hostname" "topology.kubernetes.io/zone" }}
  - maxSkew: 1
    topologyKey: {{ . }}
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels:
        {{- include "headrace.selector" $ | nindent 8 }}
  {{- end }}
{{- end }}

{{/* At most one pod of a component is taken away on purpose at a time: (dict "root" . "component" … "name" … "replicas" N). */}}
{{- define "headrace.disruptionBudget" -}}
{{- if gt (int .replicas) 1 }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: {{ .name }}
  namespace: {{ .root.Release.Namespace }}
  labels:
    {{- include "headrace.labels" (list .root .component) | nindent 4 }}
spec:
  maxUnavailable: 1
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels:
      {{- include "headrace.selector" (list .root .component) | nindent 6 }}
{{- end }}
{{- end }}

{{/* An environment variable from a Secret: (list "NAME" "secret" "key"). */}}
{{- define "headrace.fromSecret" -}}
- name: {{ index . 0 }}
  valueFrom:
    secretKeyRef:
      name: {{ index . 1 }}
      key: {{ index . 2 }}
{{- end }}

{{/* The volume of the chart's own scripts; they need nothing but Python and psycopg2, which the images have. */}}
{{- define "headrace.scriptsVolume" -}}
- name: scripts
  configMap:
    name: {{ (include "headrace.names" . | fromYaml).scripts }}
    defaultMode: 0444
{{- end }}

{{/* A claim for one pod's data: a component's `persistence`. */}}
{{- define "headrace.claim" -}}
accessModes: [ReadWriteOnce]
{{- with .storageClass }}
storageClassName: {{ . }}
{{- end }}
resources:
  requests:
    storage: {{ .size }}
{{- end }}
