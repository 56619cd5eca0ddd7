import{t as a}from"./core.S3IQ56GS.js";export{a as LecternPlayer};
