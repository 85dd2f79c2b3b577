{{/* The pod that brings schemas, buckets and users up to date: a container each, independent of one another. */}}
{{- define "headrace.migrations.pod" -}}
{{- $names := include "headrace.names" . | fromYaml -}}
{{- $secrets := include "headrace.secrets" . | fromYaml -}}
metadata:
  labels:
    {{- include "headrace.podLabels" (list . "migrations") | nindent 4 }}
spec:
  serviceAccountName: {{ $names.plain }}
  automountServiceAccountToken: false
  restartPolicy: OnFailure
  securityContext:
    {{- include "headrace.podSecurity" (dict "user" 10001) | nindent 4 }}
  {{- include "headrace.placement" (list . "migrations") | nindent 2 }}
  containers:
    - name: airflow
      image: {{ include "headrace.image" (list . "airflow") }}
      command: [sh, -ec, {{ include "headrace.migrations.airflow" . | quote }}]
      envFrom:
        - configMapRef:
            name: {{ $names.airflow }}
      env:
        {{- include "headrace.airflow.secretEnvironment" . | nindent 8 }}
      volumeMounts:
        {{- include "headrace.airflow.mounts" . | nindent 8 }}
      {{- include "headrace.migrations.container" . | nindent 6 }}
    - name: headrace
      image: {{ include "headrace.image" (list . "airflow") }}
      command: [headrace, migrate, --within=900]
      env:
        - {name: HEADRACE_HOME, value: /tmp/headrace}
        {{- include "headrace.databaseEnvironment" . | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
      {{- include "headrace.migrations.container" . | nindent 6 }}
    - name: mlflow
      image: {{ include "headrace.image" (list . "mlflow") }}
      command: [python, -I, /etc/headrace/schema.py, migrate, mlflow, MLFLOW_BACKEND_STORE_URI, mlflow, db, upgrade, $(MLFLOW_BACKEND_STORE_URI)]
      env:
        {{- include "headrace.mlflow.environment" . | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        - {name: scripts, mountPath: /etc/headrace, readOnly: true}
      {{- include "headrace.migrations.container" . | nindent 6 }}
    {{- if .Values.minio.enabled }}
    - name: store
      image: {{ include "headrace.image" (list . "airflow") }}
      command: [headrace, prepare-store, /etc/store/plan.json, --credentials, /etc/store-credentials]
      env:
        {{- include "headrace.migrations.storeEnvironment" . | nindent 8 }}
      volumeMounts:
        - {name: tmp, mountPath: /tmp}
        - {name: store-plan, mountPath: /etc/store, readOnly: true}
        - {name: store-credentials, mountPath: /etc/store-credentials, readOnly: true}
      {{- include "headrace.migrations.container" . | nindent 6 }}
    {{- end }}
  volumes:
    - name: home
      emptyDir: {sizeLimit: 256Mi}
    - name: tmp
      emptyDir: {sizeLimit: 256Mi}
    {{- include "headrace.scriptsVolume" . | nindent 4 }}
    {{- if .Values.minio.enabled }}
    - name: store-plan
      configMap:
        name: {{ $names.storePlan }}
    - name: store-credentials
      projected:
        defaultMode: 0440
        sources:
          {{- range $user, $existing := .Values.store.existingSecrets }}
          - secret:
              name: {{ get $secrets (printf "store%s" (title $user)) }}
              items:
                - {key: HEADRACE_MINIO__ACCESS_KEY, path: {{ $user }}/access-key}
                - {key: HEADRACE_MINIO__SECRET_KEY, path: {{ $user }}/secret-key}
          {{- end }}
    {{- end }}
{{- end }}

{{- define "headrace.migrations.container" -}}
imagePullPolicy: {{ .Values.images.pullPolicy }}
resources:
  {{- toYaml .Values.migrations.resources | nindent 2 }}
securityContext:
  {{- include "headrace.containerSecurity" . | nindent 2 }}
{{- end }}

{{/* The schema, and the pool of training tasks. One that is deferred holds no slot: which jobs run is the quota's to say. */}}
{{- define "headrace.migrations.airflow" -}}
python -I /etc/headrace/schema.py migrate apache-airflow AIRFLOW__DATABASE__SQL_ALCHEMY_CONN airflow db migrate
airflow pools set training {{ .Values.airflow.trainingSlots }} 'Training tasks that start a job or collect its result.'
{{- end }}

{{- define "headrace.migrations.storeEnvironment" -}}
{{- $secrets := include "headrace.secrets" . | fromYaml -}}
{{- $addresses := include "headrace.addresses" . | fromYaml -}}
- {name: HEADRACE_HOME, value: /tmp/headrace}
- {name: HEADRACE_MINIO__ENDPOINT, value: {{ $addresses.store | quote }}}
- {name: HEADRACE_MINIO__SECURE, value: {{ $addresses.storeSecure | quote }}}
{{ include "headrace.fromSecret" (list "HEADRACE_MINIO__ACCESS_KEY" $secrets.minio "root-user") }}
{{ include "headrace.fromSecret" (list "HEADRACE_MINIO__SECRET_KEY" $secrets.minio "root-password") }}
{{- end }}
