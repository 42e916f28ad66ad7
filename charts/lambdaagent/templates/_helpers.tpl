{{/* Parts that both processes share. Contexts are dicts: `root` is the chart's, `name` the process's. */}}

{{- define "lambdaagent.labels" -}}
app.kubernetes.io/name: lambdaagent
{{- with .component }}
app.kubernetes.io/component: {{ . }}
{{- end }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
app.kubernetes.io/version: {{ .root.Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .root.Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .root.Chart.Name .root.Chart.Version }}
{{- end }}

{{- define "lambdaagent.selector" -}}
app.kubernetes.io/name: lambdaagent
app.kubernetes.io/component: {{ .component }}
app.kubernetes.io/instance: {{ .root.Release.Name }}
{{- end }}

{{- define "lambdaagent.image" -}}
{{- with .Values.image -}}
{{- if .digest }}{{ .repository }}@{{ .digest }}{{ else }}{{ .repository }}:{{ .tag }}{{ end }}
{{- end }}
{{- end }}

{{- define "lambdaagent.eventKeys" -}}
{{ .Values.eventKeys.existingSecret | default "lambdaagent-event-keys" }}
{{- end }}

{{/* Settings as variables, in the order of their names. Numbers come as floats, and large ones print with an exponent. */}}
{{- define "lambdaagent.env" -}}
{{- range $key, $value := .settings }}
- name: LAMBDAAGENT_{{ $key | snakecase | upper }}
  value: {{ if and (kindIs "float64" $value) (eq $value (floor $value)) }}{{ $value | int64 | quote }}{{ else }}{{ $value | quote }}{{ end }}
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
securityContext: {{ include "lambdaagent.podSecurity" .root | nindent 2 }}
{{- end }}

{{- define "lambdaagent.podSecurity" -}}
runAsNonRoot: true
runAsUser: 65532
runAsGroup: 65532
fsGroup: 65532
seccompProfile: {type: RuntimeDefault}
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
