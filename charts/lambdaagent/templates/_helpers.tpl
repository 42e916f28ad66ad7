{{/* Parts that the processes share. Contexts are dicts: `root` is the chart's, `name` the process's. */}}

{{/* An empty block (`settings:` with nothing below it) takes the chart's own away, so what is not there is put back. Every
template begins with this. Nothing is put back within `podSecurityContext`: leaving things out is what it is for. */}}
{{- define "lambdaagent.complete" -}}
{{- include "lambdaagent.fill" (dict "into" .Values "from" (.Files.Get "files/defaults.yaml" | fromYaml)) }}
{{- end }}

{{- define "lambdaagent.fill" -}}
{{- range $key, $default := .from }}
{{- if or (not (hasKey $.into $key)) (kindIs "invalid" (get $.into $key)) }}
{{- $_ := set $.into $key $default }}
{{- else if and (kindIs "map" $default) (ne $key "podSecurityContext") }}
{{- include "lambdaagent.fill" (dict "into" (get $.into $key) "from" $default) }}
{{- end }}
{{- end }}
{{- end }}

{{- define "lambdaagent.labels" -}}
app.kubernetes.io/name: lambdaagent
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ include "lambdaagent.label" .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version | include "lambdaagent.label" }}
{{- end }}

{{/* A version may hold a plus sign and be long, which the value of a label may not. */}}
{{- define "lambdaagent.label" -}}
{{ . | replace "+" "_" | trunc 63 | trimAll "-_." }}
{{- end }}

{{- define "lambdaagent.selector" -}}
app.kubernetes.io/name: lambdaagent
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- define "lambdaagent.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag | default ($.Chart.AppVersion | replace "+" "_") }}{{ end }}
{{- end }}
{{- end }}

{{- define "lambdaagent.eventKeys" -}}
{{ .Values.eventKeys.existingSecret | default "lambdaagent-event-keys" }}
{{- end }}

{{/* Settings as variables, in the order of their names. Numbers come as floats, and large ones print with an exponent. */}}
{{- define "lambdaagent.env" -}}
- name: POD_NAMESPACE
  valueFrom: {fieldRef: {fieldPath: metadata.namespace}}
{{- with include "lambdaagent.caFile" .root | trim }}
{{ . }}
{{- end }}
{{- range $key, $value := .settings }}
{{- if not (hasKey ($.secretSettings | default dict) $key) }}
- name: LAMBDAAGENT_{{ $key | snakecase | upper }}
  value: {{ if and (kindIs "float64" $value) (eq $value (floor $value)) }}{{ $value | int64 | quote }}{{ else }}{{ $value | quote }}{{ end }}
{{- else if not (kindIs "invalid" $value | or (eq (toString $value) "")) }}
{{- fail (printf "%s is among both settings and secretSettings: leave one of them out" $key) }}
{{- end }}
{{- end }}
{{- range $key, $source := .secretSettings }}
- name: LAMBDAAGENT_{{ $key | snakecase | upper }}
  valueFrom:
    secretKeyRef: {{ toYaml $source | nindent 6 }}
{{- end }}
{{- with .root.Values.namespaces }}
- name: LAMBDAAGENT_NAMESPACES
  value: {{ join "," . | quote }}
{{- end }}
- name: LAMBDAAGENT_EVENT_KEYS
  valueFrom:
    secretKeyRef:
      name: {{ include "lambdaagent.eventKeys" .root }}
      key: keys
{{- end }}

{{/* What the operator is told: that the dispatcher is there, and what the user says. The addresses and the sidecar's image
it knows itself, by its namespace and its Pod: an overlay of kustomize would not find them in variables. */}}
{{- define "lambdaagent.operatorSettings" -}}
{{- $settings := dict }}
{{- if and .Values.dispatcher.enabled (not .Values.operator.secretSettings.eventing) }}{{ $_ := set $settings "eventing" "rabbitmq" }}{{ end }}
{{- range $key, $value := .Values.operator.settings }}
{{- /* Not merge: it takes an empty URL, which says that there is none, for a missing one. */ -}}
{{- $_ := set $settings $key $value }}
{{- end }}
{{- toYaml $settings }}
{{- end }}

{{/* What the operator and the dispatcher must agree on: of the settings given, those of the installation. */}}
{{- define "lambdaagent.shared" -}}
{{- pick . "serving" "eventing" "gatewayUrl" "eventsUrl" "rabbitmqCluster" "rabbitmqNamespace" "deliveryRetry" "deliveryBackoffDelay" "clusterDomain" "podSecurity" "gatewayImage" | toYaml }}
{{- end }}

{{/* The bundle of authorities, in every process that speaks TLS; empty where there is none. */}}
{{- define "lambdaagent.caFile" -}}
{{- with .Values.caBundle }}
{{- if and .configMap .secret }}
{{- fail (printf "caBundle names the ConfigMap %s and the Secret %s: leave one of them out" .configMap .secret) }}
{{- end }}
{{- if or .configMap .secret }}
- name: LAMBDAAGENT_CA_FILE
  value: /etc/lambdaagent/ca/ca.crt
{{- end }}
{{- end }}
{{- end }}

{{- define "lambdaagent.caMount" -}}
{{- if or .Values.caBundle.configMap .Values.caBundle.secret }}
- {name: ca-bundle, mountPath: /etc/lambdaagent/ca, readOnly: true}
{{- end }}
{{- end }}

{{- define "lambdaagent.caVolume" -}}
{{- $items := list (dict "key" .Values.caBundle.key "path" "ca.crt") }}
{{- with .Values.caBundle.configMap }}
- name: ca-bundle
  configMap: {{ dict "name" . "items" $items | toYaml | nindent 4 }}
{{- end }}
{{- with .Values.caBundle.secret }}
- name: ca-bundle
  secret: {{ dict "secretName" . "items" $items | toYaml | nindent 4 }}
{{- end }}
{{- end }}

{{- define "lambdaagent.amqp" -}}
- name: LAMBDAAGENT_AMQP_URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.rabbitmq.existingSecret }}
      key: {{ .Values.rabbitmq.key }}
{{- end }}

{{/* A PostgreSQL of the gateway's, which others may use too; empty where there is none: a file is one process's. */}}
{{- define "lambdaagent.database" -}}
{{- $database := .Values.gateway.settings.database | default "" }}
{{- if .Values.gateway.secretSettings.database }}
- name: LAMBDAAGENT_DATABASE
  valueFrom:
    secretKeyRef: {{ toYaml .Values.gateway.secretSettings.database | nindent 6 }}
{{- else if hasPrefix "postgres" $database }}
- name: LAMBDAAGENT_DATABASE
  value: {{ $database | quote }}
{{- end }}
{{- end }}

{{/* Not empty where dead letters come to the gateway: from Knative's Brokers. What is installed decides unless it is said. */}}
{{- define "lambdaagent.knativeEvents" -}}
{{- $said := .Values.operator.settings.eventing | default "auto" }}
{{- $there := .Capabilities.APIVersions.Has "eventing.knative.dev/v1/Broker" }}
{{- if and (not .Values.dispatcher.enabled) (or (eq $said "knative") (and (eq $said "auto") $there)) }}yes{{ end }}
{{- end }}

{{/* Where a pod runs and as whom. */}}
{{- define "lambdaagent.pod" -}}
serviceAccountName: lambdaagent-{{ .component }}
automountServiceAccountToken: true
{{- with .root.Values.imagePullSecrets }}
imagePullSecrets: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with .values.nodeSelector }}
nodeSelector: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .values.tolerations }}
tolerations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- with .values.affinity }}
affinity: {{ toYaml . | nindent 2 }}
{{- end }}
topologySpreadConstraints:
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{ include "lambdaagent.selector" . | nindent 6 }}
securityContext: {{ toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- end }}

{{- define "lambdaagent.container" -}}
image: {{ include "lambdaagent.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: [{{ .component }}]
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{ toYaml .values.resources | nindent 2 }}
{{- end }}

{{- define "lambdaagent.budget" -}}
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: lambdaagent-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{ include "lambdaagent.labels" . | nindent 4 }}
spec:
  maxUnavailable: 1
  # A pod that does not work anyway must not hold up the draining of its node.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{ include "lambdaagent.selector" . | nindent 6 }}
{{- end }}

{{/* Of every replica, not of one that a Service would pick. */}}
{{- define "lambdaagent.metrics" -}}
apiVersion: v1
kind: Service
metadata:
  name: lambdaagent-{{ .component }}-metrics
  namespace: {{ .root.Release.Namespace }}
  labels: {{ include "lambdaagent.labels" . | nindent 4 }}
spec:
  type: ClusterIP
  clusterIP: None
  selector: {{ include "lambdaagent.selector" . | nindent 4 }}
  ports:
  - {name: http, port: 8080, targetPort: http, protocol: TCP}
{{- if .values.serviceMonitor.enabled }}
---
apiVersion: monitoring.coreos.com/v1
kind: ServiceMonitor
metadata:
  name: lambdaagent-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{ merge (dict) (include "lambdaagent.labels" . | fromYaml) .values.serviceMonitor.labels | toYaml | nindent 4 }}
spec:
  selector:
    matchLabels: {{ include "lambdaagent.selector" . | nindent 6 }}
  endpoints:
  - {port: http, path: /metrics, interval: {{ .values.serviceMonitor.interval | quote }}}
{{- end }}
{{- end }}
