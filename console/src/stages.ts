/** The stages of a play in the operator's words. */
import { pick } from './i18n'

const LABELS: Record<string, readonly [string, string]> = {
  queued: ['Queued', '排队'],
  invite_sent: ['INVITE sent', '已发送 INVITE'],
  trying: ['Device is trying', '设备处理中'],
  progress: ['Device reports progress', '设备报告进度'],
  answered: ['Device accepted', '设备已接受'],
  sdp_accepted: ['Session description accepted', '会话描述已接受'],
  connected: ['Media connected', '媒体连接建立'],
  first_packet: ['First packet', '首个数据包'],
  ssrc_matched: ['SSRC matched', 'SSRC 匹配'],
  ssrc_adopted: ['Other SSRC adopted', '采用了其他 SSRC'],
  ps_locked: ['Program stream recognised', '识别到 PS 流'],
  parameter_sets: ['Parameter sets', '参数集'],
  key_frame: ['First key frame', '首个关键帧'],
  viewer_first_byte: ['First byte to a viewer', '首字节送达观看端'],
  ended: ['Ended', '结束'],
}

/** A stage this console does not know yet is shown by its name. */
export function stageLabel(stage: string): string {
  const label = LABELS[stage]
  return label ? pick(label[0], label[1]) : stage
}
