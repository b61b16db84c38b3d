/**
 * nginx with one worker, as its documentation and its own benchmarks set it up: no access log,
 * keep-alive without end, sendfile with a cache of open files.
 */
import type { Contestant } from '../harness/contestant.ts'
import { type ProgramOptions, program } from '../harness/program.ts'
import { HELLO, LARGE, ORDER_TEXT } from '../suites/payloads.ts'

const parameters = (config: string, directory: string): string[] => [
  ...['-p', directory, '-c', config, '-e', `${directory}/error.log`],
]

const preamble = (directory: string): string => `
  daemon off;
  worker_processes 1;
  worker_rlimit_nofile 65536;
  pid ${directory}/pid;
  error_log ${directory}/error.log error;
  events { worker_connections 32768; }
`

const http = (directory: string): string => `
    access_log off;
    keepalive_requests 1000000000;
    keepalive_timeout 600s;
    client_body_temp_path ${directory}/body;
    proxy_temp_path ${directory}/proxy;
    fastcgi_temp_path ${directory}/fastcgi;
    uwsgi_temp_path ${directory}/uwsgi;
    scgi_temp_path ${directory}/scgi;
`

const server: ProgramOptions = {
  name: 'nginx',
  setup: '1 worker, access log off, sendfile, open_file_cache',
  command: 'nginx',
  hasWorkers: true,
  parameters,
  files: () => ({ large: LARGE, json: ORDER_TEXT }),
  configure: ({ port, tlsPort, directory }, { certFile, keyFile }) => `
  ${preamble(directory)}
  http {
    ${http(directory)}
    sendfile on;
    tcp_nopush on;
    open_file_cache max=100;
    open_file_cache_valid 60s;
    server {
      listen 127.0.0.1:${port} backlog=511;
      listen 127.0.0.1:${tlsPort} ssl backlog=511;
      ssl_certificate ${certFile};
      ssl_certificate_key ${keyFile};
      ssl_protocols TLSv1.2 TLSv1.3;
      root ${directory};
      default_type application/octet-stream;
      location = / { default_type text/plain; return 200 "${HELLO}"; }
      location = /json { default_type application/json; }
      location = /large { }
    }
  }`,
}

const gateway: ProgramOptions = {
  name: 'nginx',
  setup: '1 worker, access log off, upstream keepalive 128, proxy_http_version 1.1',
  command: 'nginx',
  hasWorkers: true,
  parameters,
  configure: ({ port, directory }, { upstreamPort }) => `
  ${preamble(directory)}
  http {
    ${http(directory)}
    proxy_buffer_size 16k;
    proxy_buffers 16 16k;
    upstream backend {
      server 127.0.0.1:${upstreamPort};
      keepalive 128;
      keepalive_requests 1000000000;
    }
    server {
      listen 127.0.0.1:${port} backlog=511;
      location / {
        proxy_pass http://backend;
        proxy_http_version 1.1;
        proxy_set_header Host $http_host;
        proxy_set_header Connection "";
        proxy_set_header X-Forwarded-For $proxy_add_x_forwarded_for;
        proxy_set_header X-Forwarded-Host $http_host;
        proxy_set_header X-Forwarded-Proto $scheme;
      }
    }
  }`,
}

export const nginxServer: Contestant = program(server)
export const nginxGateway: Contestant = program(gateway)
