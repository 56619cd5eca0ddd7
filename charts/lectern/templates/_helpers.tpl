{{/* Names and parts that several objects share. */}}

{{- define "lectern.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{/* What the names of objects begin with; short enough for every suffix. */}}
{{- define "lectern.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else if contains (include "lectern.name" .) .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name (include "lectern.name" .) | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}

{{- define "lectern.operatorName" -}}{{ include "lectern.fullname" . }}-operator{{- end -}}
{{- define "lectern.metricsName" -}}{{ include "lectern.fullname" . }}-metrics{{- end -}}
{{- define "lectern.metricsTlsName" -}}{{ include "lectern.metricsName" . }}-tls{{- end -}}
{{- define "lectern.rootSecretName" -}}{{ default (printf "%s-root" (include "lectern.fullname" .)) .Values.rootSecret.name }}{{- end -}}

{{/* Labels that a Deployment selects by: never changed between versions. Argument: [root, component]. */}}
{{- define "lectern.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "lectern.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end -}}

{{/* All labels of an object. Argument: [root, component]. */}}
{{- define "lectern.labels" -}}
{{- $root := index . 0 -}}
helm.sh/chart: {{ printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{ include "lectern.selector" . }}
app.kubernetes.io/version: {{ $root.Chart.AppVersion | quote }}
app.kubernetes.io/part-of: lectern
app.kubernetes.io/managed-by: {{ $root.Release.Service }}
{{- end -}}

{{- define "lectern.image" -}}
{{- $image := .Values.image -}}
{{- if $image.digest -}}
{{ $image.repository }}@{{ $image.digest }}
{{- else -}}
{{ $image.repository }}:{{ default .Chart.AppVersion $image.tag }}
{{- end -}}
{{- end -}}

{{/* A nodeImage that names anything goes by its own tag and digest; image.digest is of another image then. */}}
{{- define "lectern.nodeImage" -}}
{{- $image := .Values.image -}}
{{- $node := .Values.nodeImage -}}
{{- $repository := default $image.repository $node.repository -}}
{{- if $node.digest -}}
{{ $repository }}@{{ $node.digest }}
{{- else if or $node.repository $node.tag -}}
{{ $repository }}:{{ default .Chart.AppVersion (default $image.tag $node.tag) }}
{{- else -}}
{{ include "lectern.image" . }}
{{- end -}}
{{- end -}}

{{/* Argument: [root, values of the component, default name]. */}}
{{- define "lectern.serviceAccountName" -}}
{{- $account := (index . 1).serviceAccount -}}
{{- if $account.create -}}
{{- default (index . 2) $account.name -}}
{{- else -}}
{{- required "serviceAccount.name is needed where serviceAccount.create is false" $account.name -}}
{{- end -}}
{{- end -}}

{{/* Environment that operator and metrics API share. Argument: root. */}}
{{- define "lectern.env" -}}
- {name: LECTERN_NAMESPACE, valueFrom: {fieldRef: {fieldPath: metadata.namespace}}}
- {name: LECTERN_POD_NAME, valueFrom: {fieldRef: {fieldPath: metadata.name}}}
- {name: LECTERN_WATCH_NAMESPACES, value: {{ join "," .Values.watchNamespaces | quote }}}
- {name: LECTERN_LISTEN_ADMIN, value: "0.0.0.0:9090"}
- {name: LECTERN_LOG, value: {{ .Values.logs.filter | quote }}}
- {name: LECTERN_LOG_FORMAT, value: {{ .Values.logs.format | quote }}}
- {name: LECTERN_METRICS_BACKEND, value: {{ .Values.autoscaling.backend | quote }}}
- {name: LECTERN_METRICS_SERVICE, value: {{ include "lectern.metricsName" . | quote }}}
- {name: LECTERN_METRICS_TLS_SECRET, value: {{ include "lectern.metricsTlsName" . | quote }}}
{{- end -}}

{{/* Parts of a pod spec that operator and metrics API share. Argument: [root, values of the component, component]. */}}
{{- define "lectern.podSpec" -}}
{{- $root := index . 0 -}}
{{- $values := index . 1 -}}
# Variables of Services would be taken for options: they begin with LECTERN_, too.
enableServiceLinks: false
terminationGracePeriodSeconds: 30
securityContext:
  runAsNonRoot: true
  runAsUser: 65532
  runAsGroup: 65532
  seccompProfile: {type: RuntimeDefault}
{{- with $root.Values.imagePullSecrets }}
imagePullSecrets: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
{{- if $values.topologySpreadConstraints }}
{{- toYaml $values.topologySpreadConstraints | nindent 2 }}
{{- else }}
  - maxSkew: 1
    topologyKey: kubernetes.io/hostname
    whenUnsatisfiable: ScheduleAnyway
    labelSelector:
      matchLabels: {{- include "lectern.selector" (list $root (index . 2)) | nindent 8 }}
{{- end }}
{{- end -}}

{{- define "lectern.containerSecurity" -}}
allowPrivilegeEscalation: false
readOnlyRootFilesystem: true
capabilities: {drop: [ALL]}
{{- end -}}

{{/* Which metrics APIs are ours: [{group, version, priority}]. */}}
{{- define "lectern.apiServices" -}}
{{- if .Values.autoscaling.apiServices.create -}}
{{- if eq .Values.autoscaling.backend "apiservice" -}}
- {group: custom.metrics.k8s.io, version: v1beta2, priority: 200}
- {group: custom.metrics.k8s.io, version: v1beta1, priority: 100}
{{- else if eq .Values.autoscaling.backend "external" -}}
- {group: external.metrics.k8s.io, version: v1beta1, priority: 100}
{{- end -}}
{{- end -}}
{{- end -}}
