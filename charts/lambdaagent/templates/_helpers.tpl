{{/* Parts that the processes share. Contexts are dicts: `root` is the chart's context, `component` the process's name,
`values` its values. */}}

{{/* An empty block (`settings:` with nothing below it) removes the chart's default, so missing values are added again.
Every template begins with this. Nothing is added within `podSecurityContext`, where values are left out on purpose. */}}
{{- define "lambdaagent.complete" -}}
{{- include "lambdaagent.fill" (dict "into" .Values "from" (.Files.Get "files/defaults.yaml" | fromYaml)) }}
{{- include "lambdaagent.embed" . }}
{{- end }}

{{/* What the embedded parts mean for the others. The values are those of all templates, so this may have happened. */}}
{{- define "lambdaagent.embed" -}}
{{- with .Values.rabbitmq }}
{{- if .embedded }}
{{- if not (has .existingSecret (list "" "lambdaagent-rabbitmq")) }}
{{- fail (printf "rabbitmq.embedded is true, but rabbitmq.existingSecret names the RabbitMQ of %s: leave one of them out" .existingSecret) }}
{{- end }}
{{- $_ := set . "existingSecret" "lambdaagent-rabbitmq" }}
{{- $_ := set . "key" "url" }}
{{- $_ := set $.Values.dispatcher "enabled" true }}
{{- end }}
{{- end }}
{{- if .Values.postgresql.embedded }}
{{- $ours := dict "name" "lambdaagent-postgresql" "key" "url" }}
{{- $said := .Values.gateway.secretSettings.database | default $ours }}
{{- if or .Values.gateway.settings.database (ne (toYaml $said) (toYaml $ours)) }}
{{- fail "postgresql.embedded is true, but the gateway's settings name a database: leave one of them out" }}
{{- end }}
{{- $_ := set .Values.gateway.secretSettings "database" $ours }}
{{- end }}
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
{{- with omit .root.Values.commonLabels "app.kubernetes.io/name" "app.kubernetes.io/component" "app.kubernetes.io/instance" "app.kubernetes.io/version" "app.kubernetes.io/managed-by" "helm.sh/chart" }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* The metadata of a Deployment, and of its pods. A label that selects the pods cannot be overridden. */}}
{{- define "lambdaagent.metadata" -}}
name: lambdaagent-{{ .component }}
namespace: {{ .root.Release.Namespace }}
labels: {{ include "lambdaagent.labels" . | nindent 2 }}
{{- with .values.annotations }}
annotations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "lambdaagent.podMetadata" -}}
labels: {{ merge (dict) (include "lambdaagent.selector" . | fromYaml) .values.podLabels .root.Values.commonLabels | toYaml | nindent 2 }}
{{- with merge (dict) (.annotations | default dict) .values.podAnnotations }}
annotations: {{ toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{/* A version may contain a plus sign and be long; the value of a label may not. */}}
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

{{/* The Secret with the signing key; empty if the gateway's settings name a key of their own. */}}
{{- define "lambdaagent.signingKey" -}}
{{- if not (or .Values.gateway.settings.cardSigningKey .Values.gateway.secretSettings.cardSigningKey) }}
{{- .Values.signingKey.existingSecret | default "lambdaagent-signing-key" }}
{{- end }}
{{- end }}

{{/* Settings as environment variables, in the order of their names. helm reads numbers as floats and prints large
ones with an exponent. */}}
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

{{/* The operator's settings: `eventing` if the dispatcher is enabled, the address at which the cluster reaches the gateway
if its own Service has TLS, and the user's settings. Otherwise the operator derives the addresses and the sidecar's image
from its namespace and its Pod: an overlay of kustomize could not change them in variables. */}}
{{- define "lambdaagent.operatorSettings" -}}
{{- $settings := dict }}
{{- if and .Values.gateway.tls.existingSecret (not .Values.operator.secretSettings.gatewayUrl) }}
{{- $domain := .Values.operator.settings.clusterDomain | default "cluster.local" }}
{{- if .Values.operator.secretSettings.clusterDomain }}
{{- fail "gateway.tls.existingSecret is set, so the operator needs the gateway's address in plain HTTP, but operator.secretSettings.clusterDomain hides the domain: set operator.settings.clusterDomain, or operator.settings.gatewayUrl" }}
{{- end }}
{{- $_ := set $settings "gatewayUrl" (printf "http://lambdaagent-events.%s.svc.%s" .Release.Namespace $domain) }}
{{- end }}
{{- if and .Values.dispatcher.enabled (not .Values.operator.secretSettings.eventing) }}{{ $_ := set $settings "eventing" "rabbitmq" }}{{ end }}
{{- range $key, $value := .Values.operator.settings }}
{{- /* Not `merge`: it treats an empty URL, which means that there is none, as a missing one. */ -}}
{{- $_ := set $settings $key $value }}
{{- end }}
{{- toYaml $settings }}
{{- end }}

{{/* Those of the given settings on which the operator and the dispatcher must agree. */}}
{{- define "lambdaagent.shared" -}}
{{- pick . "serving" "eventing" "gatewayUrl" "eventsUrl" "rabbitmqCluster" "rabbitmqNamespace" "deliveryRetry" "deliveryBackoffDelay" "clusterDomain" "podSecurity" "gatewayImage" | toYaml }}
{{- end }}

{{/* The keys of the database, only for the process that reads what they encrypt. The dispatcher writes to the database
only which events were delivered. */}}
{{- define "lambdaagent.storeKeys" -}}
{{- if .Values.storeKeys.existingSecret }}
- name: LAMBDAAGENT_STORE_KEYS
  valueFrom:
    secretKeyRef: {name: {{ .Values.storeKeys.existingSecret }}, key: keys}
{{- else if .Values.gateway.settings.encryptPayloads }}
{{- fail "gateway.settings.encryptPayloads is true, but there are no keys: name a Secret with them in storeKeys.existingSecret" }}
{{- end }}
{{- end }}

{{/* The variable with the path of the CA bundle, for every process that uses TLS; empty without a bundle. */}}
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

{{/* Empty if access is not checked. */}}
{{- define "lambdaagent.access" -}}
{{- $mode := .Values.access.mode | toString }}
{{- if not (has $mode (list "off" "false")) }}{{ $mode }}{{ end }}
{{- end }}

{{- define "lambdaagent.accessEnv" -}}
- name: LAMBDAAGENT_ACCESS
  value: {{ include "lambdaagent.access" . | default "off" | quote }}
{{- if include "lambdaagent.access" . }}
- name: LAMBDAAGENT_ACCESS_FILE
  value: /etc/lambdaagent/access/access.yaml
{{- end }}
{{- end }}

{{- define "lambdaagent.accessMounts" -}}
{{- include "lambdaagent.accessFileMount" . }}
{{- if include "lambdaagent.access" . }}
{{- range $place, $secret := .Values.access.secrets }}
- {name: access-secret-{{ $place }}, mountPath: /etc/lambdaagent/secrets/{{ $secret }}, readOnly: true}
{{- end }}
{{- end }}
{{- end }}

{{- define "lambdaagent.accessVolumes" -}}
{{- include "lambdaagent.accessFileVolume" . }}
{{- if include "lambdaagent.access" . }}
{{- range $place, $secret := .Values.access.secrets }}
- name: access-secret-{{ $place }}
  secret: {secretName: {{ $secret }}}
{{- end }}
{{- end }}
{{- end }}

{{/* The access file alone: the operator gives sidecars what they need of it, and reads no secret. */}}
{{- define "lambdaagent.accessFileMount" -}}
{{- if include "lambdaagent.access" . }}
- {name: access, mountPath: /etc/lambdaagent/access, readOnly: true}
{{- end }}
{{- end }}

{{- define "lambdaagent.accessFileVolume" -}}
{{- if include "lambdaagent.access" . }}
- name: access
  configMap: {name: lambdaagent-access}
{{- end }}
{{- end }}

{{/* The token with which the operator sends its events to the gateway. */}}
{{- define "lambdaagent.eventsTokenMount" -}}
{{- if include "lambdaagent.access" . }}
- {name: events-token, mountPath: /var/run/secrets/lambdaagent, readOnly: true}
{{- end }}
{{- end }}

{{- define "lambdaagent.eventsTokenVolume" -}}
{{- if include "lambdaagent.access" . }}
{{- $audiences := dig "kubernetes" "audiences" (list "lambdaagent") .Values.access.file }}
- name: events-token
  projected:
    sources:
    - serviceAccountToken: {audience: {{ first $audiences }}, expirationSeconds: 3600, path: token}
{{- end }}
{{- end }}

{{/* The ports of the gateway. With TLS, plain HTTP is for the cluster: Brokers and agents' containers know no authority
of yours, and no certificate covers the hosts of agents in all namespaces. */}}
{{- define "lambdaagent.listeningEnv" -}}
{{- if .Values.gateway.tls.existingSecret }}
- name: LAMBDAAGENT_PORT
  value: "8443"
- name: LAMBDAAGENT_PLAIN_PORT
  value: "8080"
- name: LAMBDAAGENT_TLS_CERT_FILE
  value: /etc/lambdaagent/tls/tls.crt
- name: LAMBDAAGENT_TLS_KEY_FILE
  value: /etc/lambdaagent/tls/tls.key
{{- else }}
- name: LAMBDAAGENT_PORT
  value: "8080"
{{- end }}
- name: LAMBDAAGENT_METRICS_PORT
  value: "9090"
{{- end }}

{{- define "lambdaagent.tlsMount" -}}
{{- if .Values.gateway.tls.existingSecret }}
- {name: tls, mountPath: /etc/lambdaagent/tls, readOnly: true}
{{- end }}
{{- end }}

{{- define "lambdaagent.tlsVolume" -}}
{{- with .Values.gateway.tls.existingSecret }}
- name: tls
  secret: {secretName: {{ . }}}
{{- end }}
{{- end }}

{{/* The port of the Service lambdaagent-gateway. */}}
{{- define "lambdaagent.portName" -}}
{{ ternary "https" "http" (not (empty .Values.gateway.tls.existingSecret)) }}
{{- end }}

{{- define "lambdaagent.servicePort" -}}
{{ .Values.gateway.service.port | default (ternary 443 80 (not (empty .Values.gateway.tls.existingSecret))) }}
{{- end }}

{{- define "lambdaagent.amqp" -}}
- name: LAMBDAAGENT_AMQP_URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.rabbitmq.existingSecret }}
      key: {{ .Values.rabbitmq.key }}
{{- end }}

{{/* The gateway's PostgreSQL, for other processes too. Empty for none or a file, which only one process may open. */}}
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

{{/* Not empty if Knative's Brokers send dead letters to the gateway. Without a setting, the cluster's APIs decide. */}}
{{- define "lambdaagent.knativeEvents" -}}
{{- $said := .Values.operator.settings.eventing | default "auto" }}
{{- $there := .Capabilities.APIVersions.Has "eventing.knative.dev/v1/Broker" }}
{{- if and (not .Values.dispatcher.enabled) (or (eq $said "knative") (and (eq $said "auto") $there)) }}yes{{ end }}
{{- end }}

{{/* The account, placement and security context of a pod. */}}
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
{{- with .values.topologySpreadConstraints }}
topologySpreadConstraints: {{ toYaml . | nindent 0 }}
{{- else }}
topologySpreadConstraints:
- maxSkew: 1
  topologyKey: kubernetes.io/hostname
  whenUnsatisfiable: ScheduleAnyway
  labelSelector:
    matchLabels: {{ include "lambdaagent.selector" . | nindent 6 }}
{{- end }}
securityContext: {{ toYaml .root.Values.podSecurityContext | nindent 2 }}
{{- end }}

{{/* `port` is the name of the port that answers, `live` the defaults of the liveness probe. */}}
{{- define "lambdaagent.probes" -}}
{{- $path := dict "path" "/healthz" "port" .port }}
startupProbe:
  {{- merge (dict "httpGet" $path) .values.startupProbe (dict "periodSeconds" 2 "timeoutSeconds" 3 "failureThreshold" 60) | toYaml | nindent 2 }}
readinessProbe:
  {{- merge (dict "httpGet" (dict "path" "/readyz" "port" .port)) .values.readinessProbe (dict "periodSeconds" 5 "timeoutSeconds" 3) | toYaml | nindent 2 }}
livenessProbe:
  {{- merge (dict "httpGet" $path) .values.livenessProbe .live | toYaml | nindent 2 }}
{{- end }}

{{- define "lambdaagent.container" -}}
image: {{ include "lambdaagent.image" .root }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
args: {{ concat (list .component) (.values.extraArgs | default list) | toYaml | nindent 0 }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{ toYaml .values.resources | nindent 2 }}
{{- end }}

{{/* Nothing if it is switched off. */}}
{{- define "lambdaagent.budget" -}}
{{- with .values.podDisruptionBudget }}
{{- if .enabled }}
---
apiVersion: policy/v1
kind: PodDisruptionBudget
metadata:
  name: lambdaagent-{{ $.component }}
  namespace: {{ $.root.Release.Namespace }}
  labels: {{ include "lambdaagent.labels" $ | nindent 4 }}
spec:
  {{- if kindIs "invalid" .minAvailable }}
  maxUnavailable: {{ .maxUnavailable }}
  {{- else }}
  minAvailable: {{ .minAvailable }}
  {{- end }}
  # A pod that is not ready must not block the draining of its node.
  unhealthyPodEvictionPolicy: AlwaysAllow
  selector:
    matchLabels: {{ include "lambdaagent.selector" $ | nindent 6 }}
{{- end }}
{{- end }}
{{- end }}

{{/* Nothing if it is switched off. */}}
{{- define "lambdaagent.autoscaler" -}}
{{- with .values.autoscaling }}
{{- if .enabled }}
---
apiVersion: autoscaling/v2
kind: HorizontalPodAutoscaler
metadata:
  name: lambdaagent-{{ $.component }}
  namespace: {{ $.root.Release.Namespace }}
  labels: {{ include "lambdaagent.labels" $ | nindent 4 }}
spec:
  scaleTargetRef: {apiVersion: apps/v1, kind: Deployment, name: lambdaagent-{{ $.component }}}
  minReplicas: {{ .minReplicas }}
  maxReplicas: {{ .maxReplicas }}
  metrics:
  {{- range $resource := list "cpu" "memory" }}
  {{- with get $.values.autoscaling (printf "target%sUtilizationPercentage" (ternary "CPU" "Memory" (eq $resource "cpu"))) }}
  - type: Resource
    resource: {name: {{ $resource }}, target: {type: Utilization, averageUtilization: {{ . }}}}
  {{- end }}
  {{- end }}
  {{- with .metrics }}
  {{- toYaml . | nindent 2 }}
  {{- end }}
  {{- with .behavior }}
  behavior: {{ toYaml . | nindent 4 }}
  {{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/* The Service is headless, so that every replica is scraped and not one that a Service picks. */}}
{{- define "lambdaagent.metrics" -}}
---
{{- $port := .port | default (dict "name" "http" "number" 8080) }}
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
  - {name: {{ $port.name }}, port: {{ $port.number }}, targetPort: {{ $port.name }}, protocol: TCP}
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
  - {port: {{ $port.name }}, path: /metrics, interval: {{ .values.serviceMonitor.interval | quote }}}
{{- end }}
{{- end }}

{{/* The password of an embedded part: the one of the Secret that is there, so that upgrades keep it. */}}
{{- define "lambdaagent.password" -}}
{{- $found := lookup "v1" "Secret" .root.Release.Namespace (printf "lambdaagent-%s" .component) }}
{{- if $found }}{{ index $found.data "password" | b64dec }}{{ else }}{{ randAlphaNum 32 }}{{ end }}
{{- end }}

{{- define "lambdaagent.embeddedService" }}
apiVersion: v1
kind: Service
metadata:
  name: lambdaagent-{{ .component }}
  namespace: {{ .root.Release.Namespace }}
  labels: {{ include "lambdaagent.labels" . | nindent 4 }}
spec:
  type: ClusterIP
  selector: {{ include "lambdaagent.selector" . | nindent 4 }}
  ports:
  - {name: {{ .component }}, port: {{ .port }}, targetPort: {{ .component }}, protocol: TCP}
{{- end }}

{{- define "lambdaagent.embeddedSpec" -}}
replicas: 1
serviceName: lambdaagent-{{ .component }}
selector:
  matchLabels: {{ include "lambdaagent.selector" . | nindent 4 }}
{{- with .values.storage }}
volumeClaimTemplates:
- metadata: {name: data}
  spec:
    accessModes: [ReadWriteOnce]
    resources: {requests: {storage: {{ .size }}}}
    {{- with .storageClassName }}
    storageClassName: {{ . }}
    {{- end }}
{{- end }}
template:
  metadata:
    labels: {{ merge (dict) (include "lambdaagent.selector" . | fromYaml) .root.Values.commonLabels | toYaml | nindent 6 }}
  spec:
    automountServiceAccountToken: false
    {{- with .root.Values.imagePullSecrets }}
    imagePullSecrets: {{ toYaml . | nindent 4 }}
    {{- end }}
    securityContext:
      runAsNonRoot: true
      {{- if hasKey .root.Values.podSecurityContext "runAsUser" | and .root.Values.podSecurityContext.runAsUser }}
      runAsUser: {{ .user }}
      runAsGroup: {{ .user }}
      fsGroup: {{ .user }}
      {{- end }}
      seccompProfile: {type: RuntimeDefault}
    volumes:
    - name: scratch
      emptyDir: {}
{{- end }}

{{- define "lambdaagent.embeddedContainer" -}}
image: {{ .values.image.repository }}:{{ .values.image.tag }}
imagePullPolicy: {{ .root.Values.image.pullPolicy }}
securityContext:
  allowPrivilegeEscalation: false
  readOnlyRootFilesystem: true
  capabilities: {drop: [ALL]}
resources: {{ toYaml .values.resources | nindent 2 }}
ports:
- {name: {{ .component }}, containerPort: {{ .port }}}
{{- end }}
