{{- /* Names: RELEASE-restante, or RELEASE alone if it says restante already. */ -}}
{{- define "restante.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" -}}
{{- end -}}

{{- define "restante.fullname" -}}
{{- if .Values.fullnameOverride -}}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- $name := include "restante.name" . -}}
{{- if contains $name .Release.Name -}}
{{- .Release.Name | trunc 40 | trimSuffix "-" -}}
{{- else -}}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" -}}
{{- end -}}
{{- end -}}
{{- end -}}

{{- define "restante.selector" -}}
app.kubernetes.io/name: {{ include "restante.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/component: frontend
{{- end -}}

{{- /* Not of the frontends' pods: a new version of the chart alone would drain them all. */ -}}
{{- define "restante.labels" -}}
app.kubernetes.io/name: {{ include "restante.name" . }}
app.kubernetes.io/instance: {{ .Release.Name }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/part-of: restante
app.kubernetes.io/managed-by: {{ .Release.Service }}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" | trunc 63 | trimSuffix "-" }}
{{- end -}}

{{- define "restante.serviceAccount" -}}
{{- if .Values.serviceAccount.create -}}
{{- default (include "restante.fullname" .) .Values.serviceAccount.name -}}
{{- else -}}
{{- default "default" .Values.serviceAccount.name -}}
{{- end -}}
{{- end -}}

{{- define "restante.image" -}}
{{- if .Values.image.digest -}}
{{ .Values.image.repository }}@{{ .Values.image.digest }}
{{- else -}}
{{ .Values.image.repository }}:{{ default .Chart.AppVersion .Values.image.tag }}
{{- end -}}
{{- end -}}

{{- /* The label `job` of the metrics. */ -}}
{{- define "restante.job" -}}
{{- default (printf "restante-%s-%s" .Release.Namespace .Release.Name) .Values.metrics.job -}}
{{- end -}}

{{- /* The fewest frontends that there are. */ -}}
{{- define "restante.fewest" -}}
{{- if .Values.autoscaling.enabled -}}{{ .Values.autoscaling.minReplicas }}{{- else -}}{{ .Values.replicas }}{{- end -}}
{{- end -}}

{{- /* A value of TOML. What JSON says of texts is right in TOML too. Helm reads whole numbers as fractions. */ -}}
{{- define "restante.toml.value" -}}
{{- if kindIs "string" . -}}
{{- toJson . -}}
{{- else if kindIs "slice" . -}}
[{{- range $i, $value := . }}{{ if $i }}, {{ end }}{{ include "restante.toml.value" $value }}{{ end -}}]
{{- else if kindIs "float64" . -}}
{{- int64 . -}}
{{- else -}}
{{- . -}}
{{- end -}}
{{- end -}}

{{- /* Lines KEY = VALUE. */ -}}
{{- define "restante.toml.keys" -}}
{{- range $key, $value := . }}
{{ $key }} = {{ include "restante.toml.value" $value }}
{{- end -}}
{{- end -}}

{{- define "restante.toml.listener" }}
[[listener]]
address = {{ printf "%s:%d" .address (int .port) | toJson }}
protocol = {{ toJson .protocol }}
{{- if .trusted }}
trusted_proxies = {{ include "restante.toml.value" .trusted }}
{{- end }}
{{- include "restante.toml.keys" .settings }}
{{ end -}}

{{- /* What the schema cannot say. */ -}}
{{- define "restante.refuse" -}}
{{- $v := .Values -}}
{{- if not (or $v.pop3.enabled $v.pop3s.enabled $v.lmtpListener.enabled) -}}
{{- fail "pop3, pop3s and lmtpListener are all switched off: nothing would be served" -}}
{{- end -}}
{{- $pop3 := default dict $v.pop3.settings -}}
{{- $stls := and $v.pop3.enabled (dig "stls" true $pop3) -}}
{{- if and (or $v.pop3s.enabled $stls) (not $v.tls.certificates) -}}
{{- fail "pop3s, and pop3 with STLS, need tls.certificates: a Secret of type kubernetes.io/tls" -}}
{{- end -}}
{{- if and $v.pop3.enabled (not $stls) (not (dig "allow_plaintext_login" false $pop3)) -}}
{{- fail "pop3.settings: nobody could log in without TLS; set stls or allow_plaintext_login" -}}
{{- end -}}
{{- if and (not $v.database.url) (not $v.database.urlExistingSecret) -}}
{{- fail "database.url or database.urlExistingSecret is needed" -}}
{{- end -}}
{{- if and $v.database.url $v.database.urlExistingSecret -}}
{{- fail "database.url and database.urlExistingSecret exclude each other" -}}
{{- end -}}
{{- if and $v.proxyProtocol.enabled (not $v.proxyProtocol.trustedNetworks) -}}
{{- fail "proxyProtocol.enabled needs proxyProtocol.trustedNetworks: whoever may send a PROXY header can claim any address" -}}
{{- end -}}
{{- if and (eq $v.storage.kind "s3") (not $v.storage.s3.bucket) -}}
{{- fail "storage.kind s3 needs storage.s3.bucket" -}}
{{- end -}}
{{- if and (eq $v.storage.kind "file") (not $v.storage.file.existingClaim) -}}
{{- fail "storage.kind file needs storage.file.existingClaim" -}}
{{- end -}}
{{- if and $v.admin.enabled $v.admin.expose (not $v.admin.tlsExistingSecret) -}}
{{- fail "admin.expose needs admin.tlsExistingSecret: tokens do not cross a network in the clear" -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (gt (int $v.autoscaling.minReplicas) (int $v.autoscaling.maxReplicas)) -}}
{{- fail "autoscaling.minReplicas is above autoscaling.maxReplicas" -}}
{{- end -}}
{{- if and $v.autoscaling.enabled (not $v.autoscaling.sessionsPerPod) (not $v.autoscaling.cpuPercent) -}}
{{- fail "autoscaling needs sessionsPerPod or cpuPercent" -}}
{{- end -}}
{{- $folders := list -}}
{{- range include "restante.secrets" . | fromYamlArray -}}
{{- $folders = append $folders .folder -}}
{{- end -}}
{{- if ne (len $folders) (len (uniq $folders)) -}}
{{- fail "a Secret of tls.certificates or a name of admin.tokens stands there twice" -}}
{{- end -}}
{{- end -}}

{{- /* The configuration. Files of secrets are where restante.volumeMounts puts them. */ -}}
{{- define "restante.toml" -}}
{{- $v := .Values -}}
# Made by the Helm chart from its values.
default_storage = "main"
{{ $trusted := list }}{{ if $v.proxyProtocol.enabled }}{{ $trusted = $v.proxyProtocol.trustedNetworks }}{{ end }}
{{- if $v.pop3.enabled }}
{{- include "restante.toml.listener" (dict "address" $v.bindAddress "port" 1110 "protocol" "pop3" "trusted" $trusted "settings" $v.pop3.settings) }}
{{- end }}
{{- if $v.pop3s.enabled }}
{{- include "restante.toml.listener" (dict "address" $v.bindAddress "port" 1995 "protocol" "pop3s" "trusted" $trusted "settings" $v.pop3s.settings) }}
{{- end }}
{{- if $v.lmtpListener.enabled }}
{{- $settings := merge (dict "allow_remote" true) (default dict $v.lmtpListener.settings) }}
{{- include "restante.toml.listener" (dict "address" $v.bindAddress "port" 2400 "protocol" "lmtp" "settings" $settings) }}
{{- end }}
[tls]
{{- include "restante.toml.keys" $v.tls.settings }}
{{ range $v.tls.certificates }}
[[tls.certificate]]
certificate_file = "/run/secrets/restante/tls/{{ .existingSecret }}/tls.crt"
key_file = "/run/secrets/restante/tls/{{ .existingSecret }}/tls.key"
{{- if .names }}
names = {{ include "restante.toml.value" .names }}
{{- end }}
{{ end }}
[database]
{{- if $v.database.url }}
url = {{ toJson $v.database.url }}
{{- end }}
{{- if and $v.database.url $v.database.existingSecret }}
password_file = "/run/secrets/restante/database/password"
{{- end }}
{{- include "restante.toml.keys" $v.database.settings }}

[storage.main]
kind = {{ toJson $v.storage.kind }}
{{- if eq $v.storage.kind "s3" }}
bucket = {{ toJson $v.storage.s3.bucket }}
{{- if $v.storage.s3.existingSecret }}
credentials_file = "/run/secrets/restante/s3/credentials"
{{- end }}
{{- if $v.storage.s3.caExistingSecret }}
ca_file = "/run/secrets/restante/s3-ca/ca.crt"
{{- end }}
{{- include "restante.toml.keys" $v.storage.s3.settings }}
{{- else if eq $v.storage.kind "file" }}
path = "/var/lib/restante-blobs/blobs"
{{- end }}
{{ if $v.redis.url }}
[redis]
url = {{ toJson $v.redis.url }}
{{- if $v.redis.existingSecret }}
password_file = "/run/secrets/restante/redis/password"
{{- end }}
{{- include "restante.toml.keys" $v.redis.settings }}
{{ end }}
[auth]
{{- if $v.auth.keysExistingSecret }}
keys_file = "/run/restante-keys/keys"
{{- end }}
{{- include "restante.toml.keys" $v.auth.settings }}

[limits]
{{- include "restante.toml.keys" $v.limits }}

[lmtp]
spool_path = "/var/lib/restante/spool"
{{- include "restante.toml.keys" $v.lmtp }}

[plugin_host]
cache_path = "/var/lib/restante/plugins"

[collector]
{{- include "restante.toml.keys" $v.collector }}

[log]
{{- include "restante.toml.keys" $v.log }}

[drain]
{{- include "restante.toml.keys" $v.drain }}

[telemetry]
{{- if $v.telemetry.headersExistingSecret }}
otlp_headers_file = "/run/secrets/restante/otlp/headers"
{{- end }}
{{- $settings := default dict $v.telemetry.settings }}
{{- if hasKey $settings "sample_percent" }}
sample_percent = {{ printf "%f" (float64 $settings.sample_percent) }}
{{- end }}
{{- include "restante.toml.keys" (omit $settings "sample_percent") }}

[admin]
metrics_address = {{ printf "%s:9180" $v.bindAddress | toJson }}
{{- if $v.admin.enabled }}
{{- if $v.admin.expose }}
address = {{ printf "%s:8180" $v.bindAddress | toJson }}
certificate_file = "/run/secrets/restante/admin-tls/tls.crt"
key_file = "/run/secrets/restante/admin-tls/tls.key"
{{- else }}
address = "127.0.0.1:8180"
{{- end }}
{{ range $v.admin.tokens }}
[[admin.token]]
name = {{ toJson .name }}
token_file = "/run/secrets/restante/admin-token-{{ .name }}/token"
{{- if .tenant }}
tenant = {{ toJson .tenant }}
{{- end }}
{{- if .readOnly }}
read_only = true
{{- end }}
{{ end }}
{{- end }}
{{- with $v.extraConfig }}
{{ . }}
{{- end }}
{{- end -}}

{{- /* All Secrets that are mounted, as a list of folder, secret and items. */ -}}
{{- define "restante.secrets" -}}
{{- $v := .Values -}}
{{- range $v.tls.certificates }}
- {folder: {{ printf "tls/%s" .existingSecret | quote }}, secret: {{ .existingSecret | quote }}, items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]}
{{- end }}
{{- if and $v.database.url $v.database.existingSecret }}
- {folder: database, secret: {{ $v.database.existingSecret | quote }}, items: [{key: {{ $v.database.passwordKey | quote }}, path: password}]}
{{- end }}
{{- if and (eq $v.storage.kind "s3") $v.storage.s3.existingSecret }}
- {folder: s3, secret: {{ $v.storage.s3.existingSecret | quote }}, items: [{key: {{ $v.storage.s3.credentialsKey | quote }}, path: credentials}]}
{{- end }}
{{- if and (eq $v.storage.kind "s3") $v.storage.s3.caExistingSecret }}
- {folder: s3-ca, secret: {{ $v.storage.s3.caExistingSecret | quote }}, items: [{key: {{ $v.storage.s3.caKey | quote }}, path: ca.crt}]}
{{- end }}
{{- if and $v.redis.url $v.redis.existingSecret }}
- {folder: redis, secret: {{ $v.redis.existingSecret | quote }}, items: [{key: {{ $v.redis.passwordKey | quote }}, path: password}]}
{{- end }}
{{- if $v.telemetry.headersExistingSecret }}
- {folder: otlp, secret: {{ $v.telemetry.headersExistingSecret | quote }}, items: [{key: {{ $v.telemetry.headersKey | quote }}, path: headers}]}
{{- end }}
{{- if $v.admin.enabled }}
{{- if $v.admin.expose }}
- {folder: admin-tls, secret: {{ $v.admin.tlsExistingSecret | quote }}, items: [{key: tls.crt, path: tls.crt}, {key: tls.key, path: tls.key}]}
{{- end }}
{{- range $v.admin.tokens }}
- {folder: {{ printf "admin-token-%s" .name | quote }}, secret: {{ .existingSecret | quote }}, items: [{key: {{ default "token" .key | quote }}, path: token}]}
{{- end }}
{{- end }}
{{- end -}}

{{- /* One volume for all Secrets; it follows them when they change. */ -}}
{{- define "restante.volumes" -}}
- name: config
  configMap:
    name: {{ .config }}
{{- with .root }}
- name: state
  emptyDir:
    sizeLimit: {{ .Values.state.sizeLimit }}
- name: tmp
  emptyDir:
    sizeLimit: {{ .Values.tmp.sizeLimit }}
{{- with include "restante.secrets" . | fromYamlArray }}
- name: secrets
  projected:
    defaultMode: 0440
    sources:
      {{- range $entry := . }}
      - secret:
          name: {{ $entry.secret | quote }}
          items:
            {{- range $entry.items }}
            - key: {{ .key | quote }}
              path: {{ printf "%s/%s" $entry.folder .path | quote }}
            {{- end }}
      {{- end }}
{{- end }}
{{- if .Values.auth.keysExistingSecret }}
- name: keys-secret
  secret:
    secretName: {{ .Values.auth.keysExistingSecret | quote }}
    defaultMode: 0440
    items:
      - key: {{ .Values.auth.keysKey | quote }}
        path: keys
- name: keys
  emptyDir:
    medium: Memory
    sizeLimit: 1Mi
{{- end }}
{{- if eq .Values.storage.kind "file" }}
- name: blobs
  persistentVolumeClaim:
    claimName: {{ .Values.storage.file.existingClaim | quote }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}
{{- end -}}

{{- define "restante.volumeMounts" -}}
- name: config
  mountPath: /etc/restante
  readOnly: true
- name: state
  mountPath: /var/lib/restante
- name: tmp
  mountPath: /tmp
{{- if include "restante.secrets" . | fromYamlArray }}
- name: secrets
  mountPath: /run/secrets/restante
  readOnly: true
{{- end }}
{{- if .Values.auth.keysExistingSecret }}
- name: keys
  mountPath: /run/restante-keys
  readOnly: true
{{- end }}
{{- if eq .Values.storage.kind "file" }}
- name: blobs
  mountPath: /var/lib/restante-blobs
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end -}}

{{- /* The copy of the keys file that only its owner can read. */ -}}
{{- define "restante.initContainers" -}}
{{- if .Values.auth.keysExistingSecret }}
initContainers:
  - name: keys
    image: {{ .Values.auth.keysInit.image | quote }}
    imagePullPolicy: {{ .Values.auth.keysInit.pullPolicy }}
    command: [/bin/sh, -ec, "umask 077; rm -f /to/keys; cat /from/keys > /to/keys; chmod 0400 /to/keys"]
    securityContext:
      {{- toYaml .Values.securityContext | nindent 6 }}
    resources:
      requests: {cpu: 10m, memory: 16Mi}
      limits: {memory: 32Mi}
    volumeMounts:
      - name: keys-secret
        mountPath: /from
        readOnly: true
      - name: keys
        mountPath: /to
{{- end }}
{{- end -}}

{{- define "restante.env" -}}
{{- if .Values.database.urlExistingSecret }}
- name: RESTANTE__DATABASE__URL
  valueFrom:
    secretKeyRef:
      name: {{ .Values.database.urlExistingSecret | quote }}
      key: {{ .Values.database.urlKey | quote }}
{{- end }}
{{- with .Values.extraEnv }}
{{ toYaml . }}
{{- end }}
{{- end -}}
