/**
 * Files that schemas import without bringing them along: Protobuf's own types, the annotations for
 * HTTP, and the error model.
 */
import type { DescFile } from '@bufbuild/protobuf'
import {
  file_google_protobuf_any,
  file_google_protobuf_api,
  file_google_protobuf_descriptor,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_source_context,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_type,
  file_google_protobuf_wrappers,
} from '@bufbuild/protobuf/wkt'
import { file_google_api_annotations } from './proto/google/api/annotations_pb.ts'
import { file_google_api_field_behavior } from './proto/google/api/field_behavior_pb.ts'
import { file_google_api_http } from './proto/google/api/http_pb.ts'
import { file_google_api_httpbody } from './proto/google/api/httpbody_pb.ts'
import { file_google_rpc_code } from './proto/google/rpc/code_pb.ts'
import { file_google_rpc_error_details } from './proto/google/rpc/error_details_pb.ts'
import { file_google_rpc_status } from './proto/google/rpc/status_pb.ts'

/** In an order in which each comes after what it imports. */
export const BUILT_IN_FILES: readonly DescFile[] = [
  file_google_protobuf_any,
  file_google_protobuf_descriptor,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_field_mask,
  file_google_protobuf_source_context,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_type,
  file_google_protobuf_wrappers,
  file_google_protobuf_api,
  file_google_api_http,
  file_google_api_annotations,
  file_google_api_httpbody,
  file_google_api_field_behavior,
  file_google_rpc_code,
  file_google_rpc_status,
  file_google_rpc_error_details,
]

/** By the name that an `import` says: `google/protobuf/any.proto`. */
export const BUILT_IN: ReadonlyMap<string, DescFile> = /* @__PURE__ */ new Map(
  BUILT_IN_FILES.map((file) => [file.proto.name, file]),
)
