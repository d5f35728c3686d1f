// stdin: {"files": [...], "qualities": [...], "out": "folder"}; stdout: [{"quality", "bytes", "cpu_s"}]. Codec alone: no network.
import fs from 'node:fs';
import path from 'node:path';
import sharp from 'sharp';

const { files, qualities, out } = JSON.parse(fs.readFileSync(0, 'utf8'));
sharp.cache(false);
sharp.concurrency(1);
const sources = files.map((file) => fs.readFileSync(file));
const rounds = [];
for (const quality of qualities) {
  const made = [];
  const before = process.cpuUsage();
  for (const source of sources) made.push(await sharp(source).jpeg({ quality }).toBuffer());
  const cpu = process.cpuUsage(before);
  fs.mkdirSync(path.join(out, String(quality)), { recursive: true });
  made.forEach((data, number) => fs.writeFileSync(path.join(out, String(quality), `${number}.jpg`), data));
  const bytes = made.reduce((sum, data) => sum + data.length, 0);
  rounds.push({ quality, bytes, cpu_s: (cpu.user + cpu.system) / 1e6 });
}
console.log(JSON.stringify(rounds));
