{{/* What Airflow's four components share: one pod. */}}

{{- define "headrace.airflow.mounts" -}}
- {name: home, mountPath: /var/lib/airflow}
- {name: tmp, mountPath: /tmp}
- {name: scripts, mountPath: /etc/headrace, readOnly: true}
{{- end }}

{{/* A heartbeat probe of a background component: (dict "job" "SchedulerJob" "lenient" false …). */}}
{{- define "headrace.airflow.heartbeat" -}}
exec:
  command: [python, -I, /etc/headrace/heartbeat.py, {{ .job }}, "60"{{ if .lenient }}, --lenient{{ end }}]
timeoutSeconds: 15
{{- end }}

{{- define "headrace.airflow.heartbeatProbes" -}}
startupProbe:
  {{- include "headrace.airflow.heartbeat" (dict "job" .) | nindent 2 }}
  periodSeconds: 5
  failureThreshold: 120
readinessProbe:
  {{- include "headrace.airflow.heartbeat" (dict "job" .) | nindent 2 }}
  periodSeconds: 20
  failureThreshold: 3
livenessProbe:
  {{- include "headrace.airflow.heartbeat" (dict "job" . "lenient" true) | nindent 2 }}
  periodSeconds: 60
  failureThreshold: 3
{{- end }}

{{/*
A component's Deployment. It starts when the schema is the image's own.
  root, key (of .Values.airflow and of the names), component, command (of `airflow`), ports (name: number), probes (text)
  runsTasks: whether it gets what tasks need, and may ask the API server
  login: whether it keeps people's passwords
*/}}
{{- define "headrace.airflow.deployment" -}}
{{- $root := .root -}}
{{- $names := include "headrace.names" $root | fromYaml -}}
{{- $secrets := include "headrace.secrets" $root | fromYaml -}}
{{- $settings := get $root.Values.airflow .key -}}
apiVersion: apps/v1
kind: Deployment
metadata:
  name: {{ get $names .key }}
  namespace: {{ $root.Release.Namespace }}
  labels:
    {{- include "headrace.labels" (list $root .component) | nindent 4 }}
spec:
  replicas: {{ $settings.replicas }}
  # The former pod goes when its successor works: several of each may run side by side.
  strategy:
    type: RollingUpdate
    rollingUpdate: {maxSurge: 1, maxUnavailable: 0}
  selector:
    matchLabels:
      {{- include "headrace.selector" (list $root .component) | nindent 6 }}
  template:
    metadata:
      labels:
        {{- include "headrace.podLabels" (list $root .component) | nindent 8 }}
      annotations:
        headrace.dev/configuration: {{ include (print $root.Template.BasePath "/airflow/configmap.yaml") $root | sha256sum }}
        kubectl.kubernetes.io/default-container: {{ .component }}
    spec:
      serviceAccountName: {{ ternary (get $names .key) $names.plain .runsTasks }}
      automountServiceAccountToken: {{ .runsTasks }}
      terminationGracePeriodSeconds: {{ $settings.terminationGracePeriodSeconds | default 60 }}
      securityContext:
        {{- include "headrace.podSecurity" (dict "user" 10001) | nindent 8 }}
      {{- include "headrace.placement" (list $root .component) | nindent 6 }}
      initContainers:
        - name: wait-for-schema
          {{- include "headrace.airflow.container" . | nindent 10 }}
          command: [python, -I, /etc/headrace/schema.py, wait, apache-airflow, AIRFLOW__DATABASE__SQL_ALCHEMY_CONN]
        {{- if .login }}
        - name: copy-login
          # Airflow opens the file for writing, and a Secret's volume is read-only.
          {{- include "headrace.airflow.container" . | nindent 10 }}
          command: [install, --mode=0600, /etc/login/passwords.json, /run/airflow/passwords.json]
        {{- end }}
      containers:
        - name: {{ .component }}
          {{- include "headrace.airflow.container" . | nindent 10 }}
          command: [airflow, {{ .command }}]
          {{- with .ports }}
          ports:
            {{- range $name, $port := . }}
            - {name: {{ $name }}, containerPort: {{ $port }}}
            {{- end }}
          {{- end }}
          {{- .probes | nindent 10 }}
          {{- if .login }}
          lifecycle:
            preStop:
              sleep: {seconds: 5}
          {{- end }}
      volumes:
        - name: home
          emptyDir: {sizeLimit: 2Gi}
        - name: tmp
          emptyDir: {sizeLimit: 4Gi}
        {{- include "headrace.scriptsVolume" $root | nindent 8 }}
        {{- if .login }}
        - name: login-secret
          secret:
            secretName: {{ $secrets.airflow }}
            items: [{key: passwords.json, path: passwords.json}]
            defaultMode: 0440
        - name: login
          emptyDir: {medium: Memory, sizeLimit: 1Mi}
        {{- end }}
{{- include "headrace.disruptionBudget" (dict "root" $root "component" .component "name" (get $names .key) "replicas" $settings.replicas) }}
{{- end }}

{{/* Image, environment, mounts and resources; the same for init containers, which run with the component's own. */}}
{{- define "headrace.airflow.container" -}}
{{- $names := include "headrace.names" .root | fromYaml -}}
image: {{ include "headrace.image" (list .root "airflow") }}
imagePullPolicy: {{ .root.Values.images.pullPolicy }}
envFrom:
  - configMapRef:
      name: {{ $names.airflow }}
env:
  {{- include "headrace.airflow.secretEnvironment" .root | nindent 2 }}
  {{- if .runsTasks }}
  {{- include "headrace.airflow.taskEnvironment" .root | nindent 2 }}
  {{- end }}
resources:
  {{- toYaml (get .root.Values.airflow .key).resources | nindent 2 }}
securityContext:
  {{- include "headrace.containerSecurity" . | nindent 2 }}
volumeMounts:
  {{- include "headrace.airflow.mounts" .root | nindent 2 }}
  {{- if .login }}
  - {name: login-secret, mountPath: /etc/login, readOnly: true}
  - {name: login, mountPath: /run/airflow}
  {{- end }}
{{- end }}
